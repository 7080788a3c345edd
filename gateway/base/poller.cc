#include "gateway/base/poller.h"

#include <thread>
#include <utility>

#include "mutex.h"

namespace mmsmo {

class Poller::Thread {
 public:
  Thread(std::chrono::milliseconds every, std::function<void()> look)
      : every_(every), look_(std::move(look)), thread_([this] { Run(); }) {}
  ~Thread() {
    {
      MutexLock lock(&mu_);
      end_ = true;
      changed_.Signal();
    }
    thread_.join();
  }

  void Look() {
    MutexLock lock(&mu_);
    soon_ = true;
    changed_.Signal();
  }

 private:
  // False at the end.
  bool Wait() {
    const auto until = std::chrono::steady_clock::now() + every_;
    MutexLock lock(&mu_);
    while (!end_ && !soon_ && std::chrono::steady_clock::now() < until)
      changed_.WaitUntil(&mu_, until);
    soon_ = false;
    return !end_;
  }
  void Run() {
    while (Wait()) look_();
  }

  const std::chrono::milliseconds every_;
  const std::function<void()> look_;
  Mutex mu_;
  CondVar changed_;
  bool soon_ ABSL_GUARDED_BY(mu_) = false;
  bool end_ ABSL_GUARDED_BY(mu_) = false;
  std::thread thread_;  // last: it uses the others
};

Poller::Poller(std::chrono::milliseconds every, std::function<void()> look)
    : thread_(std::make_unique<Thread>(every, std::move(look))) {}

Poller::~Poller() = default;

void Poller::Look() { thread_->Look(); }

}  // namespace mmsmo
