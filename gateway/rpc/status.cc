#include "gateway/rpc/status.h"

#include <string>

#include "gateway/base/status.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"

namespace mmsmo::rpc {

grpc::Status ToGrpc(const absl::Status& status) {
  if (status.ok()) return grpc::Status::OK;
  // The codes of both are google.rpc.Code's.
  const auto code = static_cast<grpc::StatusCode>(status.code());
  const std::string message(MessageOf(status));
  const std::string reason = ReasonOf(status);
  if (reason.empty()) return {code, message};

  google::rpc::ErrorInfo info;
  info.set_reason(reason);
  info.set_domain("mmsmo.v1");
  if (std::string earliest = MetadataOf(status, "earliest_cursor"); !earliest.empty()) {
    (*info.mutable_metadata())["earliest_cursor"] = std::move(earliest);
  }
  google::rpc::Status details;
  details.set_code(code);
  details.set_message(message);
  details.add_details()->PackFrom(info);
  return {code, message, details.SerializeAsString()};
}

}  // namespace mmsmo::rpc
