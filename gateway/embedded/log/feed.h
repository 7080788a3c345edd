// A reader with a start position: from the newest events where they are in memory, from the disk
// where not.

#pragma once

#include <atomic>
#include <cstdint>
#include <string>

#include "gateway/broker/feed.h"
#include "gateway/broker/filter.h"
#include "gateway/embedded/log/journal.h"
#include "gateway/embedded/log/log_scan.h"
#include "gateway/embedded/store/store.h"

namespace mmsmo::embedded {

class LogFeed final : public broker::Feed {
 public:
  // Reads what comes after `position` and was accepted at or after `not_before`, in microseconds.
  LogFeed(Journal* journal, Store* store, uint64_t position, int64_t not_before,
          const v1::Filter& filter);
  ~LogFeed() override;

  absl::StatusOr<broker::Batch> Take(const broker::TakeLimits& limits) override;
  void Wait(absl::AnyInvocable<void()> wake) override;
  bool ReadsStore() const override;
  std::string Cursor() const override;
  int64_t Backlog() const override;

 private:
  // DataLoss for an event that a filter cannot look into.
  absl::StatusOr<bool> Passes(const LogScan::Event& event) const;

  Journal* const journal_;
  Store* const store_;
  const broker::EventFilter filter_;
  std::atomic<int64_t> not_before_;  // 0 once an event has passed it
  std::atomic<uint64_t> position_;   // the last event scanned
};

}  // namespace mmsmo::embedded
