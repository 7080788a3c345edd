// The streams of a subscription that wait for something to take.

#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "gateway/base/mutex.h"

namespace mmsmo::embedded {

// Thread-safe. Wake-ups run with the lock held, and must not block or call back.
class WaitingStreams {
 public:
  using StreamId = uint32_t;
  using Wake = absl::AnyInvocable<void()>;

  // `has_room` says whether the stream could take an event if there was one; a stream without has
  // to be woken by WakeThoseWithRoom.
  void Add(StreamId stream, bool has_room, Wake wake);
  void Remove(StreamId stream);

  // Wakes the stream with room that has waited longest.
  void WakeOne();
  // Wakes those without room that have some now.
  void WakeThoseWithRoom(const std::function<bool(StreamId)>& has_room);
  void WakeAll();
  // Whether a stream with room waits.
  bool AnyWithRoom() const;

 private:
  struct Waiter {
    StreamId stream;
    bool has_room;
    Wake wake;
  };

  mutable Mutex mu_;
  std::vector<Waiter> waiters_ ABSL_GUARDED_BY(mu_);  // in the order in which they came
};

}  // namespace mmsmo::embedded
