// Places in the log: what cursors and start positions stand for.

#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "gateway/embedded/log/cursor.h"
#include "gateway/embedded/log/journal.h"
#include "mmsmo/v1/event.pb.h"

namespace mmsmo::embedded {

// Thread-safe. Errors are those of broker::Broker::OpenFeed.
class Positions {
 public:
  explicit Positions(const Journal* journal) : journal_(*journal) {}

  // The cursor of an event, or of the place behind it.
  std::string Cursor(uint64_t sequence) const;
  // The place before the oldest retained event.
  std::string EarliestCursor() const { return Cursor(journal_.oldest() - 1); }

  // Names the incarnation of the log that gave an event its number.
  EpochId EpochOf(uint64_t sequence) const { return journal_.epochs().Of(sequence); }
  Epochs::Reader ReadEpochs() const { return Epochs::Reader(&journal_.epochs()); }

  // A retained event.
  absl::StatusOr<uint64_t> Locate(std::string_view cursor) const;

  struct Start {
    uint64_t after = 0;      // begin behind this event
    int64_t not_before = 0;  // and with those accepted at or after this, in microseconds
  };
  // Reads the store for a time only.
  absl::StatusOr<Start> Resolve(const v1::StartPosition& start) const;

  absl::Status CursorExpired(std::string_view why) const;

 private:
  absl::StatusOr<uint64_t> LocateStart(std::string_view cursor) const;

  const Journal& journal_;
};

}  // namespace mmsmo::embedded
