// The incarnations of the log. Whatever may give a number again begins a new one: an opening, since
// a copy of the data directory cannot know that it is one, and a recovery after a failed write. So
// a cursor that names the epoch of its event never stands for another event.

#pragma once

#include <rocksdb/write_batch.h>

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "gateway/embedded/log/cursor.h"
#include "gateway/embedded/store/store.h"
#include "mutex.h"

namespace mmsmo::embedded {

// Of is thread-safe, the others are for the one thread that writes the log.
class Epochs {
 public:
  // Reads which epochs there are, and draws the one of the events that are published from now on.
  // Those that began behind `head`, or that ended before the place before `oldest`, are dropped.
  absl::Status Load(Store* store, uint64_t oldest, uint64_t head);

  // The epoch of an event up to the head; of a later number, that of the head.
  EpochId Of(uint64_t sequence) const { return Reader(this).Of(sequence); }

  // Says it of many events, and asks once for all that follow each other in one epoch.
  class Reader {
   public:
    // `epochs` must outlive it.
    explicit Reader(const Epochs* epochs) : epochs_(*epochs) {}
    EpochId Of(uint64_t sequence) {
      if (sequence < run_.first || sequence >= run_.end) run_ = epochs_.RunOf(sequence);
      return run_.id;
    }

   private:
    friend class Epochs;
    // The events from `first` on, before `end`.
    struct Run {
      uint64_t first = 0;
      uint64_t end = 0;
      EpochId id = 0;
    };
    const Epochs& epochs_;
    Run run_;
  };

  // The epoch of what is published next. No cursor may name it before it has begun.
  EpochId next() const { return next_; }

  // Puts it into the batch that publishes the first of its events, where it has not begun yet.
  void Begin(const Store& store, uint64_t first, rocksdb::WriteBatch* batch) const;
  // That batch is in the store.
  void Begun(uint64_t first);

 private:
  Reader::Run RunOf(uint64_t sequence) const;

  struct Epoch {
    uint64_t first = 0;  // its first event; 0 for the log's first epoch
    EpochId id = 0;
  };

  // The writing thread's.
  EpochId next_ = 0;
  bool begun_ = false;

  mutable Mutex mu_;
  std::vector<Epoch> epochs_ ABSL_GUARDED_BY(mu_);  // in the order of the log; never empty
};

}  // namespace mmsmo::embedded
