// Cursors of the embedded log: opaque to everybody else, self-contained, and of no other log.

#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "gateway/embedded/store/store.h"

namespace mmsmo::embedded {

// 28 characters of URL-safe base64: a version, the journal's id, the sequence number and a check.
std::string EncodeCursor(JournalId journal, uint64_t sequence);

struct DecodedCursor {
  JournalId journal = 0;
  uint64_t sequence = 0;
};

// InvalidArgument for what EncodeCursor did not make; the message does not repeat the text.
absl::StatusOr<DecodedCursor> DecodeCursor(std::string_view text);

}  // namespace mmsmo::embedded
