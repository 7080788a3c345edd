#include "mmsmo/start.h"

#include <google/protobuf/util/time_util.h>

#include <algorithm>
#include <utility>

#include "fmt/format.h"

namespace mmsmo {
namespace {

// The alphabet of base64url, of which cursors are made.
bool IsCursorCharacter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '_';
}

}  // namespace

v1::StartPosition FromEarliest() {
  v1::StartPosition start;
  start.set_boundary(v1::BOUNDARY_EARLIEST);
  return start;
}

v1::StartPosition FromLatest() {
  v1::StartPosition start;
  start.set_boundary(v1::BOUNDARY_LATEST);
  return start;
}

v1::StartPosition AfterCursor(std::string cursor) {
  v1::StartPosition start;
  start.set_after_cursor(std::move(cursor));
  return start;
}

absl::StatusOr<v1::StartPosition> ParseStart(std::string_view text) {
  if (text == "earliest") return FromEarliest();
  if (text == "latest") return FromLatest();
  v1::StartPosition start;
  if (google::protobuf::util::TimeUtil::FromString(std::string(text),
                                                   start.mutable_accept_time())) {
    return start;
  }
  if (!text.empty() && std::all_of(text.begin(), text.end(), IsCursorCharacter)) {
    return AfterCursor(std::string(text));
  }
  return absl::InvalidArgumentError(fmt::format(
      "\"{}\" is not earliest, latest, a cursor, or a time such as 2026-04-24T18:34:00Z", text));
}

}  // namespace mmsmo
