// Where a reader may be told to begin, whichever engine it reads from.

#pragma once

#include <string_view>

#include "absl/status/status.h"
#include "mmsmo/v1/event.pb.h"

namespace mmsmo::broker {

// InvalidArgument, naming the field, of which `path` is the position's: nothing is set, or a
// boundary that this gateway does not know. Only an engine can judge a cursor.
absl::Status ValidateStart(std::string_view path, const v1::StartPosition& start);

}  // namespace mmsmo::broker
