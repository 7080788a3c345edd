// The size of a page, as AIP-158 has it.

#pragma once

#include <algorithm>
#include <cstdint>

#include "absl/status/statusor.h"
#include "gateway/base/status.h"

namespace mmsmo::rpc {

inline constexpr int kDefaultPageSize = 100;
inline constexpr int kMaxPageSize = 1'000;

// What a request's page_size stands for; InvalidArgument for a negative one.
inline absl::StatusOr<int> PageSize(int32_t wanted) {
  if (wanted < 0) return InvalidArgument("page_size: {} is negative", wanted);
  return wanted == 0 ? kDefaultPageSize : std::min(wanted, kMaxPageSize);
}

}  // namespace mmsmo::rpc
