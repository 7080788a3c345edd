#include "gateway/rpc/status.h"

#include <string>

#include "absl/strings/ascii.h"
#include "gateway/base/log.h"
#include "gateway/base/status.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"

namespace mmsmo::rpc {

namespace {

constexpr int kRetryAfterSeconds = 1;

google::rpc::ErrorInfo InfoOf(const absl::Status& status, const std::string& reason) {
  google::rpc::ErrorInfo info;
  info.set_reason(absl::AsciiStrToUpper(reason));
  info.set_domain("mmsmo.v1");
  if (std::string earliest = MetadataOf(status, "earliest_cursor"); !earliest.empty()) {
    (*info.mutable_metadata())["earliest_cursor"] = std::move(earliest);
  }
  return info;
}

}  // namespace

grpc::Status ToGrpc(const absl::Status& status) {
  if (status.ok()) return grpc::Status::OK;
  // The codes of both are google.rpc.Code's.
  const auto code = static_cast<grpc::StatusCode>(status.code());
  std::string message(MessageOf(status));
  if (code == grpc::StatusCode::INTERNAL || code == grpc::StatusCode::UNKNOWN) {
    Log()->error("a call failed: {}", message);
    message = "internal error; the gateway's log says more";
  }
  google::rpc::Status details;
  if (const std::string reason = ReasonOf(status); !reason.empty())
    details.add_details()->PackFrom(InfoOf(status, reason));
  if (code == grpc::StatusCode::UNAVAILABLE) {
    google::rpc::RetryInfo retry;
    retry.mutable_retry_delay()->set_seconds(kRetryAfterSeconds);
    details.add_details()->PackFrom(retry);
  }
  if (details.details().empty()) return {code, message};
  details.set_code(code);
  details.set_message(message);
  return {code, message, details.SerializeAsString()};
}

absl::Status InField(std::string_view field, const absl::Status& status) {
  if (!absl::IsInvalidArgument(status) && !absl::IsOutOfRange(status)) return status;
  absl::Status named = MakeStatus(status.code(), fmt::format("{}: {}", field, MessageOf(status)));
  status.ForEachPayload(
      [&named](auto url, const auto& payload) { named.SetPayload(url, payload); });
  return named;
}

}  // namespace mmsmo::rpc
