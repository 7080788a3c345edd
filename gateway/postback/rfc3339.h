// Times as RFC 3339, section 5.6, writes them.

#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace mmsmo::postback {

struct Time {
  int64_t seconds = 0;  // since the Unix epoch
  int32_t nanos = 0;    // whole microseconds: more digits are cut
};

// T and Z in either case; second 60 is the next second. Nothing where `text` is not such a time, or
// outside of the years 1 to 9999 in UTC, which google.protobuf.Timestamp cannot hold.
std::optional<Time> ParseRfc3339(std::string_view text);

}  // namespace mmsmo::postback
