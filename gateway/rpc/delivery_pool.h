// The threads that read the store for streams and calls, so that gRPC's own never wait for a disk.

#pragma once

#include <chrono>
#include <deque>
#include <map>
#include <thread>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "gateway/base/mutex.h"

namespace mmsmo::rpc {

// Thread-safe.
class DeliveryPool {
 public:
  using Task = absl::AnyInvocable<void()>;
  using TimePoint = std::chrono::steady_clock::time_point;

  explicit DeliveryPool(int threads);
  // Runs what is queued; what was to run later is dropped.
  ~DeliveryPool();

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

}  // namespace mmsmo::rpc
