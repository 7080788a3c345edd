#include "gateway/access/rate_limit.h"

#include <algorithm>
#include <limits>

namespace mmsmo::access {
namespace {

constexpr int64_t kSecond = 1'000'000'000;
constexpr double kLongestInterval = 1e6 * kSecond;  // of rates that are next to none

int64_t IntervalOf(double per_second) {
  if (!(per_second > 0)) return 0;
  return static_cast<int64_t>(std::min(kSecond / per_second, kLongestInterval));
}

}  // namespace

RateLimit::RateLimit(double per_second)
    : interval_nanos_(IntervalOf(per_second)),
      burst_nanos_(std::max(kSecond, interval_nanos_)),
      full_at_nanos_(std::numeric_limits<int64_t>::min()) {}

int64_t RateLimit::TakeMicros(int64_t now_micros) {
  if (interval_nanos_ == 0) return 0;
  const int64_t now = now_micros * 1000;
  int64_t full_at = full_at_nanos_.load(std::memory_order_relaxed);
  int64_t next = 0;
  do {
    next = std::max(full_at, now) + interval_nanos_;
    const int64_t too_early = next - now - burst_nanos_;
    if (too_early > 0) return (too_early + 999) / 1000;
  } while (!full_at_nanos_.compare_exchange_weak(full_at, next, std::memory_order_relaxed));
  return 0;
}

}  // namespace mmsmo::access
