// How many calls may be under way at once.

#pragma once

#include <atomic>
#include <string>

#include "absl/status/status.h"
#include "gateway/base/metrics.h"

namespace mmsmo::rpc {

// Thread-safe.
class CallLimit {
 public:
  // `kind`, such as "unary", labels its metrics; `setting` names the limit in refusals.
  CallLimit(const std::string& kind, std::string setting, int most, Metrics& metrics);

  // ResourceExhausted with reason "TOO_MANY_CALLS", or the call counts until End.
  absl::Status Begin();
  void End();

 private:
  const std::string setting_;
  const int most_;
  std::atomic<int> now_{0};
  prometheus::Gauge& under_way_;
  prometheus::Counter& refused_;
};

}  // namespace mmsmo::rpc
