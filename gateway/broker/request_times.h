// What every request's times must be, before anybody counts with them.

#pragma once

#include <google/protobuf/message.h>

#include <string_view>

#include "absl/status/status.h"

namespace mmsmo::broker {

// InvalidArgument, with its path, for a Timestamp outside the years 1 to 9999 and a Duration beyond
// 10,000 years, or whose nanos are not in 0..999,999,999 (google/protobuf/timestamp.proto). `path`
// is what `message` is in the request; empty for the request itself.
absl::Status ValidateTimes(std::string_view path, const google::protobuf::Message& message);

}  // namespace mmsmo::broker
