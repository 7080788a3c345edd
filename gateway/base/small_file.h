// Files of settings: certificates, secrets and tokens.

#pragma once

#include <cstddef>
#include <string>

#include "absl/status/statusor.h"

namespace mmsmo {

inline constexpr size_t kMaxSmallFileBytes = 1 << 20;

// The content of a file. FailedPrecondition, naming the path, where it cannot be read; and
// InvalidArgument where it has more than kMaxSmallFileBytes.
absl::StatusOr<std::string> ReadSmallFile(const std::string& path);

}  // namespace mmsmo
