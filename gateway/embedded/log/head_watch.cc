#include "gateway/embedded/log/head_watch.h"

#include <utility>

namespace mmsmo::embedded {

void HeadWatch::WakeAll() {
  MutexLock lock(&mu_);
  for (auto& [waiter, wake] : waiting_) wake();
  waiting_.clear();
}

void HeadWatch::Wait(const void* waiter, uint64_t position, absl::AnyInvocable<void()> wake) {
  MutexLock lock(&mu_);
  if (head() > position) {
    waiting_.erase(waiter);
    wake();
  } else {
    waiting_[waiter] = std::move(wake);
  }
}

void HeadWatch::Cancel(const void* waiter) {
  MutexLock lock(&mu_);
  waiting_.erase(waiter);
}

}  // namespace mmsmo::embedded
