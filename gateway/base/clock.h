// The clocks, as an argument, so that tests decide what time it is.

#pragma once

#include <cstdint>
#include <string>

namespace mmsmo {

// Thread-safe.
class Clock {
 public:
  virtual ~Clock() = default;
  // Microseconds since the Unix epoch. May go backwards when the system's clock is set.
  virtual int64_t NowMicros() const = 0;
  // Microseconds since some moment, which never go backwards: for what must take a certain time.
  virtual int64_t MonotonicMicros() const = 0;
  // Microseconds since the machine was booted, the time that it was suspended included; no clock
  // that is set changes them.
  virtual int64_t BootMicros() const = 0;
  // Names the boot that BootMicros counts from; empty where the system does not say.
  virtual std::string BootId() const = 0;
};

// The system's clock; lives as long as the process.
const Clock& SystemClock();

}  // namespace mmsmo
