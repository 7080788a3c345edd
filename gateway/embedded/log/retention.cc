#include "gateway/embedded/log/retention.h"

#include <rocksdb/convenience.h>

#include <string>

#include "gateway/base/log.h"
#include "gateway/base/status.h"
#include "gateway/embedded/store/big_endian.h"

namespace mmsmo::embedded {
namespace {

using std::chrono::steady_clock;

constexpr auto kComplainEvery = std::chrono::minutes(1);

}  // namespace

Retention::Retention(const Options& options, Store* store, const LogReader& reader,
                     Metrics& metrics)
    : options_(options),
      store_(store),
      reader_(reader),
      removed_events_(
          metrics.Counter("mmsmo_events_removed_total", "Events that retention has removed.")),
      stuck_(metrics.Gauge("mmsmo_retention_stuck",
                           "1 while what is too old or too much cannot be removed.")) {}

LogState Retention::Apply(const LogState& state, const Timeline& timeline,
                          QuarantineShelves* quarantine, rocksdb::WriteBatch* batch) {
  auto shortened = Shorten(state, timeline, batch);
  absl::Status quarantined;
  if (options_.quarantine_age_micros > 0)
    quarantined = quarantine->RemoveOlder(options_.quarantine_age_micros, timeline, batch);
  Report(shortened.status(), quarantined);
  return shortened.ok() ? *shortened : state;
}

absl::StatusOr<LogState> Retention::Shorten(const LogState& state, const Timeline& timeline,
                                            rocksdb::WriteBatch* batch) const {
  auto first = FirstToKeep(state, timeline);
  if (!first.ok()) return first.status();
  LogState after = state;
  if (*first <= state.oldest) return after;
  auto last_removed = reader_.Header(*first - 1);
  if (!last_removed.ok()) return last_removed.status();
  after.oldest = *first;
  after.removed_bytes = last_removed->log_bytes;
  PutRemoved(*store_, after, *last_removed, batch);
  return after;
}

absl::StatusOr<uint64_t> Retention::FirstToKeep(const LogState& state,
                                                const Timeline& timeline) const {
  const auto is_kept = [&](const RecordHeader& header) {
    return (options_.retention_age_micros <= 0 ||
            timeline.AgeOf(header.age) <= options_.retention_age_micros) &&
           (options_.retention_bytes == 0 ||
            header.log_bytes + options_.retention_bytes > state.log_bytes);
  };
  if (state.oldest > state.head) return state.oldest;
  auto oldest = reader_.Header(state.oldest);
  if (oldest.ok() && is_kept(*oldest)) return state.oldest;
  if (!oldest.ok() && !absl::IsNotFound(oldest.status())) return oldest.status();
  return reader_.FirstWhere(state.oldest, state.head, is_kept);
}

void Retention::Drop(const LogState& before, const LogState& after) {
  if (after.oldest == before.oldest) return;
  const uint64_t removed = after.oldest - before.oldest;
  removed_events_.Increment(static_cast<double>(removed));
  Log()->debug("retention removed {} events", removed);
  store_->ForgetBefore(after.oldest);
  const std::string begin = BigEndian(0), end = BigEndian(after.oldest);
  const rocksdb::Slice from(begin), to(end);
  for (auto* family : {store_->events(), store_->raw()}) {
    rocksdb::DeleteFilesInRange(&store_->db(), family, &from, &to, /*include_end=*/false);
  }
}

void Retention::Report(const absl::Status& events, const absl::Status& quarantined) {
  stuck_.Set(events.ok() && quarantined.ok() ? 0 : 1);
  if (events.ok() && quarantined.ok()) return;
  const auto now = steady_clock::now();
  if (now < next_complaint_) return;
  next_complaint_ = now + kComplainEvery;
  if (!events.ok()) Log()->error("old events cannot be removed: {}", MessageOf(events));
  if (!quarantined.ok())
    Log()->error("old quarantined postbacks cannot be removed: {}", MessageOf(quarantined));
}

}  // namespace mmsmo::embedded
