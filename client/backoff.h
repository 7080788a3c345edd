// How long to wait before the next attempt: exponential, with full jitter, so that the subscribers
// of a gateway that restarts do not come back all at once.

#pragma once

#include <chrono>
#include <functional>

namespace mmsmo {

// Not thread-safe.
class Backoff {
 public:
  struct Options {
    std::chrono::milliseconds min{100};     // the ceiling of the first wait; at least 1 ms
    std::chrono::milliseconds max{10'000};  // of every wait
  };

  // `random` gives numbers in [0, 1); by default from a generator seeded by the system.
  explicit Backoff(Options options, std::function<double()> random = {});

  // Between nothing and a ceiling that doubles with each call.
  std::chrono::milliseconds Next();
  // After a success.
  void Reset();

 private:
  const Options options_;
  const std::function<double()> random_;
  std::chrono::milliseconds ceiling_;
};

}  // namespace mmsmo
