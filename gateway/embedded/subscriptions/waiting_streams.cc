#include "gateway/embedded/subscriptions/waiting_streams.h"

#include <algorithm>
#include <utility>

namespace mmsmo::embedded {

void WaitingStreams::Add(StreamId stream, bool has_room, Wake wake) {
  MutexLock lock(&mu_);
  std::erase_if(waiters_, [stream](const Waiter& waiter) { return waiter.stream == stream; });
  waiters_.push_back({.stream = stream, .has_room = has_room, .wake = std::move(wake)});
}

void WaitingStreams::Remove(StreamId stream) {
  MutexLock lock(&mu_);
  std::erase_if(waiters_, [stream](const Waiter& waiter) { return waiter.stream == stream; });
}

void WaitingStreams::WakeAndForget(std::vector<Waiter>::iterator it) {
  it->wake();
  waiters_.erase(it);
}

void WaitingStreams::WakeOne() {
  MutexLock lock(&mu_);
  const auto it = std::find_if(waiters_.begin(), waiters_.end(),
                               [](const Waiter& waiter) { return waiter.has_room; });
  if (it != waiters_.end()) WakeAndForget(it);
}

void WaitingStreams::WakeStream(StreamId stream) {
  MutexLock lock(&mu_);
  const auto it = std::find_if(waiters_.begin(), waiters_.end(),
                               [stream](const Waiter& waiter) { return waiter.stream == stream; });
  if (it != waiters_.end()) WakeAndForget(it);
}

bool WaitingStreams::WakeThoseWithRoom(const std::function<Room(StreamId)>& room,
                                       uint64_t available) {
  MutexLock lock(&mu_);
  bool any = false;
  for (Waiter& waiter : waiters_) {
    const Room own = room(waiter.stream);
    waiter.has_room = own.for_new;
    if (own.now > 0 && available > 0) {
      available -= std::min(own.now, available);
      waiter.wake();
      waiter.wake = nullptr;
    } else {
      any = any || own.for_new;
    }
  }
  std::erase_if(waiters_, [](const Waiter& waiter) { return waiter.wake == nullptr; });
  return any;
}

void WaitingStreams::WakeAll() {
  MutexLock lock(&mu_);
  for (Waiter& waiter : waiters_) waiter.wake();
  waiters_.clear();
}

}  // namespace mmsmo::embedded
