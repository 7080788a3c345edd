// Reads the log ahead for a subscription, before anything is offered to its state: no lock is held
// while the store is read.

#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "gateway/base/clock.h"
#include "gateway/broker/filter.h"
#include "gateway/embedded/log/journal.h"
#include "gateway/embedded/store/store.h"
#include "gateway/embedded/subscriptions/schema.h"
#include "gateway/embedded/subscriptions/subscription_state.h"

namespace mmsmo::embedded {

// One event as it was read.
struct ReadEvent {
  SubscriptionState::Candidate candidate;
  bool wanted = true;                 // by the filter and the start
  std::string_view event;             // a serialised v1.Event, within `owner`; empty if unwanted
  std::shared_ptr<const void> owner;  // of the bytes
};

// What to read, as the subscription stood when it was asked for.
struct ReadPlan {
  uint64_t number = 0;  // tells plans apart
  SubscriptionId subscription = 0;
  uint32_t epoch = 0;             // of the subscription
  uint64_t from = 0;              // the first event
  uint64_t through = 0;           // the last, at most
  int64_t not_before = 0;         // what was accepted before is unwanted, in microseconds
  uint64_t recorded_through = 0;  // up to here, attempts may have been made before the restart
  size_t max_bytes = 0;           // of events, but for the last
  bool order_by_sender = false;
  uint32_t unrecorded_attempts = 0;
  std::shared_ptr<const broker::EventFilter> filter;
};

// Who sent an event, for order by sender.
uint64_t SenderHash(const v1::MmsMo& message);

// Thread-safe.
class Lookahead {
 public:
  // All must outlive it.
  Lookahead(const Journal* journal, Store* store, const SubscriptionRecords* records,
            const Clock* clock)
      : journal_(*journal), store_(*store), records_(*records), clock_(*clock) {}

  // Whether a plan can begin without the store: the newest events are in memory.
  bool IsInMemory(const ReadPlan& plan) const;

  // Reads at least one event and about `max_events`, or what takes about as much effort. With
  // `in_memory`, ends before what is in the store only. OutOfRange with reason "CURSOR_EXPIRED"
  // where retention has removed the first; DataLoss for what cannot be read.
  absl::StatusOr<std::vector<ReadEvent>> Read(const ReadPlan& plan, int max_events,
                                              bool in_memory) const;

 private:
  absl::Status Judge(const ReadPlan& plan, int64_t accept_micros, ReadEvent* read) const;

  const Journal& journal_;
  Store& store_;
  const SubscriptionRecords& records_;
  const Clock& clock_;
};

}  // namespace mmsmo::embedded
