// Looks every few seconds whether something has changed.

#pragma once

#include <chrono>
#include <functional>
#include <memory>

namespace mmsmo {

// Thread-safe.
class Poller {
 public:
  // Calls `look` on a thread of its own, the first time after `every`.
  Poller(std::chrono::milliseconds every, std::function<void()> look);
  // Waits for the look that is under way.
  ~Poller();

  // Looks at once.
  void Look();

 private:
  class Thread;
  const std::unique_ptr<Thread> thread_;
};

}  // namespace mmsmo
