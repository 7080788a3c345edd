#pragma once

#include <string_view>

#include "absl/status/status.h"
#include "gateway/base/status.h"

namespace mmsmo::rpc {

// A call that does something with many names either them or all: InvalidArgument for neither, since
// a list that came out empty must not mean everything, and for both.
inline absl::Status CheckEitherOr(std::string_view field, bool none_named, bool all) {
  if (none_named && !all) return InvalidArgument("{}: name some, or set all", field);
  if (!none_named && all) return InvalidArgument("{}: name some or set all, not both", field);
  return absl::OkStatus();
}

}  // namespace mmsmo::rpc
