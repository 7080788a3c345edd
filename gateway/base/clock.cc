#include "gateway/base/clock.h"

#include <chrono>

namespace mmsmo {
namespace {

template <typename TimePoint>
int64_t Micros(TimePoint time) {
  return std::chrono::duration_cast<std::chrono::microseconds>(time.time_since_epoch()).count();
}

}  // namespace

const Clock& SystemClock() {
  class System final : public Clock {
    int64_t NowMicros() const override { return Micros(std::chrono::system_clock::now()); }
    int64_t MonotonicMicros() const override { return Micros(std::chrono::steady_clock::now()); }
  };
  static const System clock;
  return clock;
}

}  // namespace mmsmo
