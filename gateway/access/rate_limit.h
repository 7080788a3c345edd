// How often somebody may do something: so many times a second, and what a second allows at once.

#pragma once

#include <atomic>
#include <cstdint>

namespace mmsmo::access {

// A token bucket of one second's tokens, kept as the moment at which it will be full again
// (the generic cell rate algorithm). Thread-safe, without a lock.
class RateLimit {
 public:
  // Times a second; 0 or less: no limit. Below 1 the bucket has room for one.
  explicit RateLimit(double per_second);

  // 0: it may now, and that counts. Otherwise after how many microseconds it may, if nobody else
  // does before; that does not count. `now_micros` are those of any one clock that does not go
  // back.
  int64_t TakeMicros(int64_t now_micros);

 private:
  const int64_t interval_nanos_;  // between two; 0: no limit
  const int64_t burst_nanos_;
  std::atomic<int64_t> full_at_nanos_;
};

}  // namespace mmsmo::access
