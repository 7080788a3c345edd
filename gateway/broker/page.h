#pragma once

#include <cstddef>

namespace mmsmo::broker {

// What a page of a list holds at most, unless its first entry is larger: under gRPC's default limit
// of 4 MiB a message.
inline constexpr size_t kMaxPageBytes = 3 << 20;

}  // namespace mmsmo::broker
