// The streams of a subscription that wait for something to take.

#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "gateway/embedded/subscriptions/hands.h"
#include "mutex.h"

namespace mmsmo::embedded {

// Thread-safe. Wake-ups run with the lock held, and must not block or call back.
class WaitingStreams {
 public:
  using Wake = absl::AnyInvocable<void()>;

  // What a stream could take now, and whether it could take a new event if there was one.
  struct Room {
    uint64_t now = 0;
    bool for_new = false;
  };

  void Add(StreamId stream, bool has_room, Wake wake);
  void Remove(StreamId stream);

  // Wakes the stream that could take a new event and has waited longest.
  void WakeOne();
  void WakeStream(StreamId stream);
  // Wakes those that can take something now, the longest waiting first, until what they could take
  // together is `available`. Returns whether one that could take a new event still waits.
  bool WakeThoseWithRoom(const std::function<Room(StreamId)>& room, uint64_t available);
  void WakeAll();

 private:
  struct Waiter {
    StreamId stream;
    bool has_room;
    Wake wake;
  };
  void WakeAndForget(std::vector<Waiter>::iterator it) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  Mutex mu_;
  std::vector<Waiter> waiters_ ABSL_GUARDED_BY(mu_);  // in the order in which they came
};

}  // namespace mmsmo::embedded
