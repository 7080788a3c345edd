// Cursors of the embedded log: opaque to everybody else, self-contained, and of one incarnation of
// one log.

#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace mmsmo::embedded {

// Names an incarnation of a log; drawn at random.
using EpochId = uint64_t;

// 28 characters of URL-safe base64: a version, the event's epoch, the sequence number and a check.
std::string EncodeCursor(EpochId epoch, uint64_t sequence);

struct DecodedCursor {
  EpochId epoch = 0;
  uint64_t sequence = 0;
};

// InvalidArgument for what EncodeCursor did not make; the message does not repeat the text.
absl::StatusOr<DecodedCursor> DecodeCursor(std::string_view text);

}  // namespace mmsmo::embedded
