// Building absl::Status with fmt, and the stable reason that the answers of HTTP and gRPC carry.
//
//   return InvalidArgument("max_batch_size: {} is not in 0..{}", n, kMaxBatch);
//   return WithReason(Unavailable("the journal is full"), "not_durable");
//
// Messages never contain a phone number or a message body.

#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "fmt/format.h"

namespace mmsmo {

// The only place where abseil's string_view, which is not std::string_view in every version,
// becomes one.
inline std::string_view View(absl::string_view s) { return {s.data(), s.size()}; }

inline std::string_view MessageOf(const absl::Status& status) { return View(status.message()); }

inline absl::Status MakeStatus(absl::StatusCode code, std::string_view message) {
  return absl::Status(code, absl::string_view(message.data(), message.size()));
}

template <typename... Args>
absl::Status InvalidArgument(fmt::format_string<Args...> format, Args&&... args) {
  return MakeStatus(absl::StatusCode::kInvalidArgument,
                    fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
absl::Status FailedPrecondition(fmt::format_string<Args...> format, Args&&... args) {
  return MakeStatus(absl::StatusCode::kFailedPrecondition,
                    fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
absl::Status NotFound(fmt::format_string<Args...> format, Args&&... args) {
  return MakeStatus(absl::StatusCode::kNotFound, fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
absl::Status OutOfRange(fmt::format_string<Args...> format, Args&&... args) {
  return MakeStatus(absl::StatusCode::kOutOfRange,
                    fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
absl::Status Unavailable(fmt::format_string<Args...> format, Args&&... args) {
  return MakeStatus(absl::StatusCode::kUnavailable,
                    fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
absl::Status DataLoss(fmt::format_string<Args...> format, Args&&... args) {
  return MakeStatus(absl::StatusCode::kDataLoss, fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
absl::Status Internal(fmt::format_string<Args...> format, Args&&... args) {
  return MakeStatus(absl::StatusCode::kInternal, fmt::format(format, std::forward<Args>(args)...));
}

// The status with a stable machine-readable reason: an HTTP reason, such as
// "not_durable", or a reason of google.rpc.ErrorInfo, such as "CURSOR_EXPIRED".
absl::Status WithReason(absl::Status status, std::string_view reason);
// The reason given by WithReason; empty where there is none.
std::string ReasonOf(const absl::Status& status);

// One entry of google.rpc.ErrorInfo.metadata that goes with the reason; at most one of a key.
absl::Status WithMetadata(absl::Status status, std::string_view key, std::string_view value);
std::string MetadataOf(const absl::Status& status, std::string_view key);

}  // namespace mmsmo
