#pragma once

#include <atomic>
#include <cstdint>

#include "gateway/base/clock.h"

namespace mmsmo {

// Stands still until the test moves it.
class FakeClock final : public Clock {
 public:
  explicit FakeClock(int64_t micros = 1'700'000'000'000'000) : micros_(micros) {}
  int64_t NowMicros() const override { return micros_.load(); }
  int64_t MonotonicMicros() const override { return micros_.load(); }
  void AdvanceSeconds(int64_t seconds) { micros_ += seconds * 1'000'000; }

 private:
  std::atomic<int64_t> micros_;
};

}  // namespace mmsmo
