// What fits into a message of gRPC, whose default limit is 4 MiB.

#pragma once

#include <cstddef>

namespace mmsmo::broker {

// What a page of a list holds at most, unless its first entry is larger.
inline constexpr size_t kMaxPageBytes = 3 << 20;

// The largest serialised event, so that there is room for what goes with its delivery.
inline constexpr size_t kMaxEventBytes = (4 << 20) - (64 << 10);

}  // namespace mmsmo::broker
