#include "gateway/base/clock.h"

#include <chrono>
#include <ctime>
#include <fstream>
#include <string>

namespace mmsmo {
namespace {

template <typename TimePoint>
int64_t Micros(TimePoint time) {
  return std::chrono::duration_cast<std::chrono::microseconds>(time.time_since_epoch()).count();
}

std::string ReadBootId() {
  std::ifstream file("/proc/sys/kernel/random/boot_id");
  std::string id;
  file >> id;
  return id;
}

}  // namespace

const Clock& SystemClock() {
  class System final : public Clock {
   public:
    System() : boot_id_(ReadBootId()) {}
    int64_t NowMicros() const override { return Micros(std::chrono::system_clock::now()); }
    int64_t MonotonicMicros() const override { return Micros(std::chrono::steady_clock::now()); }
    int64_t BootMicros() const override {
      timespec time{};
      clock_gettime(CLOCK_BOOTTIME, &time);
      return time.tv_sec * 1'000'000 + time.tv_nsec / 1000;
    }
    std::string BootId() const override { return boot_id_; }

   private:
    const std::string boot_id_;
  };
  static const System clock;
  return clock;
}

}  // namespace mmsmo
