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

void WaitingStreams::WakeOne() {
  MutexLock lock(&mu_);
  const auto it = std::find_if(waiters_.begin(), waiters_.end(),
                               [](const Waiter& waiter) { return waiter.has_room; });
  if (it == waiters_.end()) return;
  it->wake();
  waiters_.erase(it);
}

void WaitingStreams::WakeThoseWithRoom(const std::function<bool(StreamId)>& has_room) {
  MutexLock lock(&mu_);
  for (Waiter& waiter : waiters_) {
    if (waiter.has_room || !has_room(waiter.stream)) continue;
    waiter.wake();
    waiter.wake = nullptr;
  }
  std::erase_if(waiters_, [](const Waiter& waiter) { return waiter.wake == nullptr; });
}

void WaitingStreams::WakeAll() {
  MutexLock lock(&mu_);
  for (Waiter& waiter : waiters_) waiter.wake();
  waiters_.clear();
}

bool WaitingStreams::AnyWithRoom() const {
  MutexLock lock(&mu_);
  return std::any_of(waiters_.begin(), waiters_.end(),
                     [](const Waiter& waiter) { return waiter.has_room; });
}

}  // namespace mmsmo::embedded
