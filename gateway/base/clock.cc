#include "gateway/base/clock.h"

#include <chrono>

namespace mmsmo {

const Clock& SystemClock() {
  class System final : public Clock {
    int64_t NowMicros() const override {
      return std::chrono::duration_cast<std::chrono::microseconds>(
                 std::chrono::system_clock::now().time_since_epoch())
          .count();
    }
  };
  static const System clock;
  return clock;
}

}  // namespace mmsmo
