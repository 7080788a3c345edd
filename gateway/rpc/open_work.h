// What was begun for calls and may come back when they are over: an acknowledgement that waits for
// the disk, say, whose client has gone.

#pragma once

#include <utility>

#include "mutex.h"

namespace mmsmo::rpc {

// Thread-safe. Counts it, so that whoever it comes back to can wait for it.
class OpenWork {
 public:
  // Counts until its end.
  class Item {
   public:
    Item() = default;
    explicit Item(OpenWork* work) : work_(work) { work_->Add(1); }
    Item(Item&& other) noexcept : work_(std::exchange(other.work_, nullptr)) {}
    Item& operator=(Item&& other) noexcept {
      std::swap(work_, other.work_);
      return *this;
    }
    ~Item() {
      if (work_ != nullptr) work_->Add(-1);
    }

   private:
    OpenWork* work_ = nullptr;
  };

  // Returns when there is none.
  void Wait() {
    MutexLock lock(&mu_);
    while (items_ > 0) ended_.Wait(&mu_);
  }

 private:
  void Add(int items) {
    MutexLock lock(&mu_);
    items_ += items;
    if (items_ == 0) ended_.SignalAll();
  }

  Mutex mu_;
  CondVar ended_;
  int items_ ABSL_GUARDED_BY(mu_) = 0;
};

}  // namespace mmsmo::rpc
