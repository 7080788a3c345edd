// The newest events, framed for delivery and shared by all feeds, so that fan-out does not re-read
// the disk.

#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "mutex.h"

namespace mmsmo::embedded {

// The events of one commit, in order. Constant once added.
class EventRun {
 public:
  explicit EventRun(uint64_t first_sequence) : first_(first_sequence) {}

  // Takes memory at once for what will be appended, instead of again and again.
  void Reserve(size_t events, size_t event_bytes);

  // Appends the next event.
  void Append(std::string_view event);

  uint64_t first() const { return first_; }
  uint64_t last() const { return first_ + ends_.size() - 1; }  // not of an empty run
  bool empty() const { return ends_.empty(); }
  size_t bytes() const;  // what it holds of memory

  // As it stands in v1.DeliveryBatch. `sequence` must be in first()..last().
  std::string_view Delivery(uint64_t sequence) const;
  // The serialised v1.Event alone.
  std::string_view Event(uint64_t sequence) const;

 private:
  const uint64_t first_;
  std::string deliveries_;
  std::vector<uint32_t> ends_;         // of each delivery
  std::vector<uint32_t> event_sizes_;  // of each event, which ends its delivery
};

// Thread-safe.
class NewestEvents {
 public:
  // `max_bytes` is the memory of all runs together.
  explicit NewestEvents(size_t max_bytes) : max_bytes_(max_bytes) {}

  // Runs come in the order of the log. One that does not follow the last replaces everything.
  void Add(std::shared_ptr<const EventRun> run);

  // The first event that is among the newest; more than any where there is none.
  uint64_t first() const;

  // The run that holds an event; null where it is not among the newest.
  std::shared_ptr<const EventRun> Find(uint64_t sequence) const;

 private:
  const size_t max_bytes_;
  mutable Mutex mu_;
  std::deque<std::shared_ptr<const EventRun>> runs_ ABSL_GUARDED_BY(mu_);
  size_t bytes_ ABSL_GUARDED_BY(mu_) = 0;
};

}  // namespace mmsmo::embedded
