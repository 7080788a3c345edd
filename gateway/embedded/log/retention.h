// What is too old, or too much, leaves the log and the quarantine.

#pragma once

#include <rocksdb/write_batch.h>

#include <chrono>
#include <cstdint>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "gateway/base/metrics.h"
#include "gateway/embedded/log/log_reader.h"
#include "gateway/embedded/log/log_state.h"
#include "gateway/embedded/quarantine/shelves.h"
#include "gateway/embedded/store/options.h"
#include "gateway/embedded/store/store.h"
#include "gateway/embedded/store/timeline.h"

namespace mmsmo::embedded {

// For one thread.
class Retention {
 public:
  // `store`, `reader` and `metrics` must outlive this.
  Retention(const Options& options, Store* store, const LogReader& reader, Metrics& metrics);

  // Puts the removals into the batch; returns what the log is once that is written. What cannot be
  // removed stays, and is reported in the log and in a metric.
  LogState Apply(const LogState& state, const Timeline& timeline, QuarantineShelves* quarantine,
                 rocksdb::WriteBatch* batch);

  // The batch that has made `before` `after` is written, and readers know: drops whole files now,
  // and what is left of the last one with its next compaction.
  void Drop(const LogState& before, const LogState& after);

 private:
  absl::StatusOr<LogState> Shorten(const LogState& state, const Timeline& timeline,
                                   rocksdb::WriteBatch* batch) const;
  absl::StatusOr<uint64_t> FirstToKeep(const LogState& state, const Timeline& timeline) const;
  void Report(const absl::Status& events, const absl::Status& quarantined);

  const Options options_;
  Store* const store_;
  const LogReader& reader_;
  prometheus::Counter& removed_events_;
  prometheus::Gauge& stuck_;
  std::chrono::steady_clock::time_point next_complaint_;
};

}  // namespace mmsmo::embedded
