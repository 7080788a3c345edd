#include "gateway/base/thread_pool.h"

#include <sys/resource.h>

#include <utility>

namespace mmsmo {

ThreadPool::ThreadPool(int threads, int niceness) {
  for (int i = 0; i < threads; ++i) {
    threads_.emplace_back([this, niceness] {
      if (niceness > 0) setpriority(PRIO_PROCESS, 0, niceness);  // this thread's
      Work();
    });
  }
}

ThreadPool::~ThreadPool() {
  {
    MutexLock lock(&mu_);
    stopping_ = true;
    changed_.SignalAll();
  }
  for (auto& thread : threads_) thread.join();
}

void ThreadPool::Run(Task task) {
  MutexLock lock(&mu_);
  ready_.push_back(std::move(task));
  changed_.Signal();
}

void ThreadPool::RunAt(TimePoint when, Task task) {
  MutexLock lock(&mu_);
  const auto it = later_.emplace(when, std::move(task));
  if (it == later_.begin()) changed_.Signal();
}

void ThreadPool::Work() {
  MutexLock lock(&mu_);
  while (true) {
    const auto now = std::chrono::steady_clock::now();
    while (!later_.empty() && later_.begin()->first <= now) {
      ready_.push_back(std::move(later_.begin()->second));
      later_.erase(later_.begin());
    }
    if (!ready_.empty()) {
      Task task = std::move(ready_.front());
      ready_.pop_front();
      mu_.Unlock();
      task();
      task = nullptr;  // what it holds may take time to destroy
      mu_.Lock();
    } else if (stopping_) {
      return;
    } else if (later_.empty()) {
      changed_.Wait(&mu_);
    } else {
      changed_.WaitUntil(&mu_, later_.begin()->first);
    }
  }
}

}  // namespace mmsmo
