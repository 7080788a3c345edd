#include "gateway/embedded/log/feed.h"

#include <utility>

#include "gateway/base/status.h"
#include "gateway/broker/delivery_frame.h"
#include "gateway/embedded/log/positions.h"

namespace mmsmo::embedded {
namespace {

// One Take scans at most this many events, so that a filter that lets little through still shows
// its progress.
constexpr int kMaxScanned = 10'000;

}  // namespace

LogFeed::LogFeed(Journal* journal, Store* store, uint64_t position, int64_t not_before,
                 const v1::Filter& filter)
    : journal_(journal),
      store_(store),
      filter_(filter),
      not_before_(not_before),
      position_(position) {}

LogFeed::~LogFeed() { journal_->head().Cancel(this); }

absl::StatusOr<broker::Batch> LogFeed::Take(const broker::TakeLimits& limits) {
  broker::Batch batch;
  LogScan scan(journal_, store_);
  const uint64_t head = journal_->head().head();
  for (int scanned = 0;
       position_ < head && batch.count < limits.max_events && scanned < kMaxScanned; ++scanned) {
    const uint64_t next = position_ + 1;
    // Events are accepted in the order of their times: once one has passed, all do.
    auto event = not_before_ > 0 ? scan.ReadFromDisk(next) : scan.Read(next);
    if (!event.ok()) return event.status();
    auto passes = Passes(*event);
    if (!passes.ok()) return passes.status();
    if (*passes) {
      const size_t size = batch.deliveries.size() + broker::DeliverySize(event->event.size());
      if (batch.count > 0 && size > limits.max_bytes) break;
      not_before_ = 0;
      if (event->delivery.empty()) {
        broker::AppendDelivery(event->event, &batch.deliveries);
      } else {
        batch.deliveries.append(event->delivery);
      }
      ++batch.count;
    }
    position_ = next;
  }
  if (position_ >= journal_->head().head()) batch.left = broker::Batch::Left::kNothing;
  batch.cursor = Cursor();
  return batch;
}

absl::StatusOr<bool> LogFeed::Passes(const LogScan::Event& event) const {
  if (event.accept_micros < not_before_) return false;
  if (filter_.matches_all()) return true;
  v1::Event parsed;
  if (!parsed.ParseFromArray(event.event.data(), static_cast<int>(event.event.size())))
    return DataLoss("the event behind cursor {} cannot be read", Cursor());
  return filter_.Matches(parsed);
}

void LogFeed::Wait(absl::AnyInvocable<void()> wake) {
  journal_->head().Wait(this, position_, std::move(wake));
}

bool LogFeed::ReadsStore() const {
  if (position_ >= journal_->head().head()) return false;
  return not_before_ > 0 || journal_->newest().Find(position_ + 1) == nullptr;
}

std::string LogFeed::Cursor() const { return Positions(journal_).Cursor(position_); }

int64_t LogFeed::Backlog() const {
  const uint64_t head = journal_->head().head();
  return head > position_ ? static_cast<int64_t>(head - position_) : 0;
}

}  // namespace mmsmo::embedded
