// Counts every answer of a server, and says in the log what was refused, so that a provider who
// posts to a wrong path is seen.

#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <utility>

#include "gateway/base/metrics.h"
#include "gateway/http/message.h"
#include "mutex.h"

namespace mmsmo::http {

// Thread-safe.
class AnswerLog {
 public:
  using Clock = std::chrono::steady_clock;
  static constexpr std::chrono::seconds kTellEvery{1};

  // `server` labels the metrics and begins the lines. `metrics` must outlive this.
  AnswerLog(std::string server, Metrics& metrics);

  void Count(const Answer& answer);
  // A warning for each kind of refusal that was counted since the last one, at most one a second.
  void Tell(Clock::time_point now);

 private:
  using Kind = std::pair<int, std::string>;  // status and reason
  struct Refusals {
    prometheus::Counter* counter = nullptr;
    int64_t untold = 0;
    std::string note;  // the last one's
    Clock::time_point tell_at;
  };

  prometheus::Counter& CounterOf(const Kind& kind);

  const std::string server_;
  Metrics& metrics_;
  prometheus::Counter& ok_;

  Mutex mu_;
  std::map<Kind, Refusals> refusals_ ABSL_GUARDED_BY(mu_);
};

}  // namespace mmsmo::http
