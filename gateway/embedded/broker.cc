#include "gateway/embedded/broker.h"

#include <utility>

#include "gateway/base/status.h"
#include "gateway/embedded/big_endian.h"
#include "gateway/embedded/cursor.h"
#include "gateway/embedded/feed.h"

namespace mmsmo::embedded {
namespace {

int64_t Micros(const google::protobuf::Timestamp& time) {
  return time.seconds() * 1'000'000 + (time.nanos() + 999) / 1000;
}

}  // namespace

absl::StatusOr<std::unique_ptr<EmbeddedBroker>> EmbeddedBroker::Open(const Options& options,
                                                                     const Clock& clock,
                                                                     Metrics& metrics) {
  auto store = Store::Open(options.data_dir);
  if (!store.ok()) return store.status();
  auto journal = Journal::Open(options, store->get(), clock, metrics);
  if (!journal.ok()) return journal.status();
  return std::unique_ptr<EmbeddedBroker>(
      new EmbeddedBroker(*std::move(store), *std::move(journal)));
}

EmbeddedBroker::EmbeddedBroker(std::unique_ptr<Store> store, std::unique_ptr<Journal> journal)
    : store_(std::move(store)),
      journal_(std::move(journal)),
      quarantine_(store_.get(), journal_.get()) {}

void EmbeddedBroker::Append(std::vector<broker::Entry> entries, broker::AppendDone done) {
  journal_->Append(std::move(entries), std::move(done));
}

absl::Status EmbeddedBroker::Ready() const { return journal_->Ready(); }

broker::LogStats EmbeddedBroker::Stats() const { return journal_->Stats(); }

std::string EmbeddedBroker::EarliestCursor() const {
  return EncodeCursor(store_->journal_id(), journal_->oldest() - 1);
}

absl::Status EmbeddedBroker::CursorExpired(std::string_view field, std::string_view why) const {
  return WithMetadata(WithReason(OutOfRange("{}: {}", field, why), "CURSOR_EXPIRED"),
                      "earliest_cursor", EarliestCursor());
}

absl::StatusOr<uint64_t> EmbeddedBroker::LocatePosition(std::string_view field,
                                                        std::string_view cursor) const {
  auto decoded = DecodeCursor(cursor);
  if (!decoded.ok()) return InvalidArgument("{}: {}", field, MessageOf(decoded.status()));
  if (decoded->journal != store_->journal_id())
    return CursorExpired(field, "the cursor is of another log");
  if (decoded->sequence > journal_->head().head())
    return CursorExpired(field, "the cursor lies beyond the head");
  if (decoded->sequence + 1 < journal_->oldest()) {
    return CursorExpired(field, "retention has removed events after the cursor");
  }
  return decoded->sequence;
}

absl::StatusOr<uint64_t> EmbeddedBroker::Locate(std::string_view field,
                                                std::string_view cursor) const {
  auto sequence = LocatePosition(field, cursor);
  if (sequence.ok() && *sequence < journal_->oldest())
    return CursorExpired(field, "the event is not retained");
  return sequence;
}

absl::StatusOr<std::unique_ptr<broker::Feed>> EmbeddedBroker::OpenFeed(
    const v1::StartPosition& start, const v1::Filter& filter) {
  if (auto status = broker::EventFilter::Validate(filter); !status.ok()) return status;
  uint64_t position = 0;
  int64_t not_before = 0;
  switch (start.position_case()) {
    case v1::StartPosition::kBoundary:
      if (start.boundary() == v1::BOUNDARY_EARLIEST) {
        position = journal_->oldest() - 1;
      } else if (start.boundary() == v1::BOUNDARY_LATEST) {
        position = journal_->head().head();
      } else {
        return InvalidArgument(
            "start_position.boundary: {} is neither BOUNDARY_EARLIEST nor BOUNDARY_LATEST",
            static_cast<int>(start.boundary()));
      }
      break;
    case v1::StartPosition::kAfterCursor: {
      auto located = LocatePosition("start_position.after_cursor", start.after_cursor());
      if (!located.ok()) return located.status();
      position = *located;
      break;
    }
    case v1::StartPosition::kAcceptTime: {
      not_before = Micros(start.accept_time());
      auto first = journal_->reader().FirstAcceptedAt(not_before, journal_->oldest(),
                                                      journal_->head().head());
      if (!first.ok()) return first.status();
      position = *first - 1;
      break;
    }
    case v1::StartPosition::POSITION_NOT_SET:
      return InvalidArgument(
          "start_position: one of boundary, after_cursor and accept_time must be set");
  }
  return std::make_unique<LogFeed>(journal_.get(), store_.get(), position, not_before, filter);
}

absl::StatusOr<std::string> EmbeddedBroker::GetEvent(std::string_view cursor) {
  auto sequence = Locate("cursor", cursor);
  if (!sequence.ok()) return sequence.status();
  auto event = journal_->reader().Event(*sequence);
  if (absl::IsNotFound(event.status())) return CursorExpired("cursor", "the event is not retained");
  return event;
}

absl::StatusOr<broker::RawPostback> EmbeddedBroker::GetRawPostback(std::string_view cursor) {
  auto sequence = Locate("cursor", cursor);
  if (!sequence.ok()) return sequence.status();
  auto raw = journal_->reader().Raw(*sequence);
  if (absl::IsNotFound(raw.status()))
    return NotFound("cursor: the raw body of this event was not kept");
  return raw;
}

}  // namespace mmsmo::embedded
