// The clocks, as an argument, so that tests decide what time it is.

#pragma once

#include <cstdint>

namespace mmsmo {

// Thread-safe.
class Clock {
 public:
  virtual ~Clock() = default;
  // Microseconds since the Unix epoch. May go backwards when the system's clock is set.
  virtual int64_t NowMicros() const = 0;
  // Microseconds since some moment, which never go backwards: for what must take a certain time.
  virtual int64_t MonotonicMicros() const = 0;
};

// The system's clock; lives as long as the process.
const Clock& SystemClock();

}  // namespace mmsmo
