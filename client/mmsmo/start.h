// Where a subscription begins.

#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "mmsmo/v1/event.pb.h"

namespace mmsmo {

// The oldest event that the gateway still has.
v1::StartPosition FromEarliest();
// What arrives from now on.
v1::StartPosition FromLatest();
// What follows an event, or the position that Subscriber::cursor gave.
v1::StartPosition AfterCursor(std::string cursor);

// "earliest", "latest", a time as RFC 3339 has it, or a cursor. InvalidArgument for anything else.
absl::StatusOr<v1::StartPosition> ParseStart(std::string_view text);

}  // namespace mmsmo
