#include "gateway/embedded/feed.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "gateway/base/status.h"
#include "gateway/broker/delivery_frame.h"
#include "gateway/embedded/big_endian.h"
#include "gateway/embedded/cursor.h"

namespace mmsmo::embedded {
namespace {

// One Take scans at most this many events, so that a filter that lets little through still shows
// its progress.
constexpr int kMaxScanned = 10'000;

}  // namespace

struct LogFeed::Filling {
  const broker::TakeLimits limits;
  broker::Batch batch;
  int scanned = 0;
  bool full = false;

  bool Done() const { return full || batch.count >= limits.max_events || scanned >= kMaxScanned; }
  bool HasRoomFor(size_t delivery_bytes) {
    full = batch.count > 0 && batch.deliveries.size() + delivery_bytes > limits.max_bytes;
    return !full;
  }
};

LogFeed::LogFeed(Journal* journal, Store* store, uint64_t position, int64_t not_before,
                 const v1::Filter& filter)
    : journal_(journal),
      store_(store),
      filter_(filter),
      not_before_(not_before),
      position_(position) {}

LogFeed::~LogFeed() { journal_->head().Cancel(this); }

absl::StatusOr<broker::Batch> LogFeed::Take(const broker::TakeLimits& limits) {
  Filling filling{.limits = limits, .batch = {}};
  const uint64_t start = position_;
  const uint64_t head = journal_->head().head();
  while (position_ < head && !filling.Done()) {
    if (position_ + 1 < journal_->oldest()) return Expired();
    // Events are accepted in the order of their times, so that only the disk's headers need the
    // comparison.
    const auto run = not_before_ == 0 ? journal_->newest().Find(position_ + 1) : nullptr;
    if (run) {
      TakeFromMemory(*run, head, &filling);
    } else if (auto status = TakeFromDisk(head, &filling); !status.ok()) {
      return status;
    }
  }
  filling.batch.scanned = position_ != start;
  filling.batch.at_tail = position_ >= journal_->head().head();
  filling.batch.cursor = Cursor();
  return std::move(filling.batch);
}

void LogFeed::TakeFromMemory(const EventRun& run, uint64_t head, Filling* filling) {
  const uint64_t last = std::min(run.last(), head);
  while (position_ < last && !filling->Done()) {
    const uint64_t next = position_ + 1;
    if (filter_.MatchesSerialised(run.Event(next))) {
      const std::string_view delivery = run.Delivery(next);
      if (!filling->HasRoomFor(delivery.size())) return;
      filling->batch.deliveries.append(delivery);
      ++filling->batch.count;
    }
    position_ = next;
    ++filling->scanned;
  }
}

absl::Status LogFeed::TakeFromDisk(uint64_t head, Filling* filling) {
  rocksdb::ReadOptions options;
  options.readahead_size = 256 << 10;
  const std::unique_ptr<rocksdb::Iterator> it(store_->db().NewIterator(options, store_->events()));
  for (it->Seek(BigEndian(position_ + 1)); it->Valid() && position_ < head && !filling->Done();
       it->Next()) {
    // Sequence numbers have no gaps: a later one means that retention has been here since.
    if (LoadBigEndian64(View(it->key())) != position_ + 1) return Expired();
    auto record = DecodeRecord(View(it->value()));
    if (!record.ok()) return record.status();
    if (record->header.accept_micros >= not_before_ && filter_.MatchesSerialised(record->event)) {
      if (!filling->HasRoomFor(broker::DeliverySize(record->event.size()))) return absl::OkStatus();
      not_before_ = 0;
      broker::AppendDelivery(record->event, &filling->batch.deliveries);
      ++filling->batch.count;
    }
    ++position_;
    ++filling->scanned;
  }
  if (!it->status().ok()) return FromRocks(it->status(), "reading the log");
  if (!it->Valid() && position_ < head) return Expired();
  return absl::OkStatus();
}

absl::Status LogFeed::Expired() const {
  return WithMetadata(
      WithReason(OutOfRange("retention has removed events that this stream had not received yet"),
                 "CURSOR_EXPIRED"),
      "earliest_cursor", EncodeCursor(store_->journal_id(), journal_->oldest() - 1));
}

void LogFeed::Wait(absl::AnyInvocable<void()> wake) {
  journal_->head().Wait(this, position_, std::move(wake));
}

std::string LogFeed::Cursor() const { return EncodeCursor(store_->journal_id(), position_); }

int64_t LogFeed::Backlog() const {
  const uint64_t head = journal_->head().head();
  return head > position_ ? static_cast<int64_t>(head - position_) : 0;
}

}  // namespace mmsmo::embedded
