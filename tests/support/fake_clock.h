#pragma once

#include <atomic>
#include <cstdint>
#include <string>

#include "gateway/base/clock.h"
#include "mutex.h"

namespace mmsmo {

// Stands still until the test moves it.
class FakeClock final : public Clock {
 public:
  explicit FakeClock(int64_t micros = 1'700'000'000'000'000) : running_(micros) {}
  int64_t NowMicros() const override { return running_ + set_by_; }
  int64_t MonotonicMicros() const override { return running_; }
  int64_t BootMicros() const override { return running_ - booted_at_; }
  std::string BootId() const override {
    MutexLock lock(&mu_);
    return boot_id_;
  }

  // Time passes.
  void AdvanceSeconds(int64_t seconds) { running_ += seconds * 1'000'000; }
  // The time of day is set, and nothing else.
  void JumpSeconds(int64_t seconds) { set_by_ += seconds * 1'000'000; }
  // The machine starts anew.
  void Reboot(const std::string& boot_id) {
    MutexLock lock(&mu_);
    booted_at_ = running_.load();
    boot_id_ = boot_id;
  }

 private:
  std::atomic<int64_t> running_;
  std::atomic<int64_t> set_by_{0};
  std::atomic<int64_t> booted_at_{0};
  mutable Mutex mu_;
  std::string boot_id_ ABSL_GUARDED_BY(mu_) = "first boot";
};

}  // namespace mmsmo
