// Threads that run tasks in the order in which they come, or at a certain time.

#pragma once

#include <chrono>
#include <deque>
#include <map>
#include <thread>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "mutex.h"

namespace mmsmo {

// Thread-safe.
class ThreadPool {
 public:
  using Task = absl::AnyInvocable<void()>;
  using TimePoint = std::chrono::steady_clock::time_point;

  // Of threads with a `niceness` above 0 the others take the processor first.
  explicit ThreadPool(int threads, int niceness = 0);
  // Runs what is queued; what was to run later is dropped.
  ~ThreadPool();

  void Run(Task task);
  void RunAt(TimePoint when, Task task);

 private:
  void Work();

  Mutex mu_;
  CondVar changed_;
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  std::deque<Task> ready_ ABSL_GUARDED_BY(mu_);
  std::multimap<TimePoint, Task> later_ ABSL_GUARDED_BY(mu_);
  std::vector<std::thread> threads_;
};

}  // namespace mmsmo
