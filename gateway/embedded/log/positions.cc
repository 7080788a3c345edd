#include "gateway/embedded/log/positions.h"

#include "gateway/base/status.h"

namespace mmsmo::embedded {
namespace {

int64_t MicrosRoundedUp(const google::protobuf::Timestamp& time) {
  return time.seconds() * 1'000'000 + (time.nanos() + 999) / 1000;
}

}  // namespace

std::string Positions::Cursor(uint64_t sequence) const {
  return EncodeCursor(EpochOf(sequence), sequence);
}

absl::Status Positions::CursorExpired(std::string_view why) const {
  return WithMetadata(WithReason(OutOfRange("{}", why), "CURSOR_EXPIRED"), "earliest_cursor",
                      EarliestCursor());
}

absl::StatusOr<uint64_t> Positions::LocateStart(std::string_view cursor) const {
  auto decoded = DecodeCursor(cursor);
  if (!decoded.ok()) return decoded.status();
  if (decoded->sequence + 1 < journal_.oldest()) {
    return CursorExpired("retention has removed events after the cursor");
  }
  if (decoded->epoch != EpochOf(decoded->sequence)) {
    return CursorExpired("the cursor is of another log, or of another incarnation of this one");
  }
  if (decoded->sequence > journal_.head().head()) {
    return CursorExpired("the cursor lies beyond the head");
  }
  return decoded->sequence;
}

absl::StatusOr<uint64_t> Positions::Locate(std::string_view cursor) const {
  auto sequence = LocateStart(cursor);
  if (sequence.ok() && *sequence < journal_.oldest()) {
    return CursorExpired("the event is not retained");
  }
  return sequence;
}

absl::StatusOr<Positions::Start> Positions::Resolve(const v1::StartPosition& start) const {
  switch (start.position_case()) {
    case v1::StartPosition::kBoundary:
      if (start.boundary() == v1::BOUNDARY_LATEST) return Start{.after = journal_.head().head()};
      return Start{.after = journal_.oldest() - 1};
    case v1::StartPosition::kAfterCursor: {
      auto located = LocateStart(start.after_cursor());
      if (!located.ok()) return located.status();
      return Start{.after = *located};
    }
    case v1::StartPosition::kAcceptTime: {
      const int64_t not_before = MicrosRoundedUp(start.accept_time());
      auto first =
          journal_.reader().FirstAcceptedAt(not_before, journal_.oldest(), journal_.head().head());
      if (!first.ok()) return first.status();
      return Start{.after = *first - 1, .not_before = not_before};
    }
    case v1::StartPosition::POSITION_NOT_SET:
      break;
  }
  return InvalidArgument("no start position is set");
}

}  // namespace mmsmo::embedded
