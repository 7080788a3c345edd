#include "gateway/rpc/status.h"

#include <charconv>
#include <string>
#include <utility>

#include "absl/strings/ascii.h"
#include "gateway/base/log.h"
#include "gateway/base/status.h"
#include "gateway/broker/proto_time.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"

namespace mmsmo::rpc {

namespace {

constexpr int64_t kSecond = 1'000'000;
constexpr std::string_view kRetryAfter = "retry_after_micros";

google::rpc::ErrorInfo InfoOf(const absl::Status& status, const std::string& reason) {
  google::rpc::ErrorInfo info;
  info.set_reason(absl::AsciiStrToUpper(reason));
  info.set_domain("mmsmo.v1");
  if (std::string earliest = MetadataOf(status, "earliest_cursor"); !earliest.empty()) {
    (*info.mutable_metadata())["earliest_cursor"] = std::move(earliest);
  }
  return info;
}

// What a client is asked to wait; 0: nothing is said of it.
int64_t RetryAfterMicros(const absl::Status& status) {
  int64_t micros = absl::IsUnavailable(status) ? kSecond : 0;
  const std::string given = MetadataOf(status, kRetryAfter);
  std::from_chars(given.data(), given.data() + given.size(), micros);
  return micros;
}

}  // namespace

absl::Status WithRetryAfter(absl::Status status, int64_t micros) {
  return WithMetadata(std::move(status), kRetryAfter, std::to_string(micros));
}

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
  if (const int64_t micros = RetryAfterMicros(status); micros > 0) {
    google::rpc::RetryInfo retry;
    *retry.mutable_retry_delay() = broker::ToDuration(micros);
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
