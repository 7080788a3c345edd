// One reader's way through the log: pull with a wake-up.
//
//   while (true) {
//     absl::StatusOr<Batch> batch = feed->Take({.max_events = 256, .max_bytes = 256 << 10});
//     if (!batch.ok()) return batch.status();
//     if (batch->count > 0) Send(*batch);
//     if (batch->left != Batch::Left::kMore) return feed->Wait([this] { Schedule(this); });
//   }

#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"

namespace mmsmo::broker {

struct TakeLimits {
  int max_events = 1;    // at least 1
  size_t max_bytes = 1;  // of deliveries; one event that is larger alone is taken all the same
  uint32_t frame = 0;  // the number, from 1, of the frame of its stream that the batch goes out in
};

struct Batch {
  // The entries of v1.DeliveryBatch.deliveries as they stand on the wire, tag and length included.
  std::string deliveries;
  int count = 0;
  std::string cursor;  // the last position scanned, whether its event passed the filter or not

  // What this batch has left behind.
  enum class Left {
    kMore,     // events that can be taken now
    kBlocked,  // events that this reader cannot have before others are done with
    kComing,   // events that are being made ready for this reader
    kNothing,  // the reader is at the tail
  };
  Left left = Left::kMore;
};

// Used by one thread at a time, but for what is said to be thread-safe.
class Feed {
 public:
  virtual ~Feed() = default;

  // What is there, within the limits, without waiting but as ReadsStore says. OutOfRange with
  // reason "CURSOR_EXPIRED" once retention has overtaken this reader; Aborted once another stream
  // has resumed this one; Unavailable where another Take may succeed later.
  virtual absl::StatusOr<Batch> Take(const TakeLimits& limits) = 0;

  // Calls `wake` once when there is more to take or to be told, at once if there is already; on any
  // thread, and it must not block. A second call replaces the first. The feed's destruction ends
  // it; `wake` may be running until the destructor returns.
  virtual void Wait(absl::AnyInvocable<void()> wake) = 0;

  // Whether the next Take may wait for a disk, and so is for a thread that may. Thread-safe.
  virtual bool ReadsStore() const { return false; }

  // The last position scanned.
  virtual std::string Cursor() const = 0;

  // How many events lie between this reader and the head, before filtering. Thread-safe.
  virtual int64_t Backlog() const = 0;

  // How many of its deliveries are yet to be acknowledged: 0 where none has to be. Thread-safe.
  virtual int64_t Outstanding() const { return 0; }
};

}  // namespace mmsmo::broker
