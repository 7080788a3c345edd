// Where the log ends, and who wants to know when it grows.

#pragma once

#include <atomic>
#include <cstdint>

#include "absl/container/flat_hash_map.h"
#include "absl/functional/any_invocable.h"
#include "mutex.h"

namespace mmsmo::embedded {

// Thread-safe.
class HeadWatch {
 public:
  // The newest event that readers may see; 0 before the first.
  uint64_t head() const { return head_.load(std::memory_order_acquire); }

  // Moves the head, and then wakes everybody who waits: two steps, so that what is urgent goes in
  // between. Both are called by one thread.
  void MoveTo(uint64_t head) { head_.store(head, std::memory_order_release); }
  void WakeAll();

  // Calls `wake` once, when the head is past `position`; at once if it is already. `waiter` names
  // the caller; a second call replaces the first. `wake` must not block or call back.
  void Wait(const void* waiter, uint64_t position, absl::AnyInvocable<void()> wake);
  // After it returns, `waiter` is not woken any more.
  void Cancel(const void* waiter);

 private:
  std::atomic<uint64_t> head_{0};
  Mutex mu_;
  absl::flat_hash_map<const void*, absl::AnyInvocable<void()>> waiting_ ABSL_GUARDED_BY(mu_);
};

}  // namespace mmsmo::embedded
