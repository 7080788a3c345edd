// What this Abseil has no matchers for.

#pragma once

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "gateway/base/status.h"
#include "gmock/gmock.h"

namespace mmsmo {

inline const absl::Status& StatusOf(const absl::Status& status) { return status; }
template <typename T>
const absl::Status& StatusOf(const absl::StatusOr<T>& result) {
  return result.status();
}

MATCHER(IsOk, "") {
  *result_listener << StatusOf(arg).ToString();
  return StatusOf(arg).ok();
}
MATCHER_P2(StatusIs, code, message, "") {
  *result_listener << StatusOf(arg).ToString();
  return StatusOf(arg).code() == code &&
         testing::ExplainMatchResult(message, std::string(MessageOf(StatusOf(arg))),
                                     result_listener);
}
MATCHER_P(HasReason, reason, "") {
  *result_listener << StatusOf(arg).ToString();
  return ReasonOf(StatusOf(arg)) == reason;
}

}  // namespace mmsmo
