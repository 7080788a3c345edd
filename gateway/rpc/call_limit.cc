#include "gateway/rpc/call_limit.h"

#include <utility>

#include "gateway/base/status.h"

namespace mmsmo::rpc {

CallLimit::CallLimit(const std::string& kind, std::string setting, int most, Metrics& metrics)
    : setting_(std::move(setting)),
      most_(most),
      under_way_(metrics.Gauge("mmsmo_grpc_calls", "Calls under way.", {{"kind", kind}})),
      refused_(metrics.Counter("mmsmo_grpc_refused_total", "What a limit refused.",
                               {{"limit", kind}})) {}

absl::Status CallLimit::Begin() {
  if (now_.fetch_add(1, std::memory_order_relaxed) >= most_) {
    now_.fetch_sub(1, std::memory_order_relaxed);
    refused_.Increment();
    return WithReason(
        MakeStatus(absl::StatusCode::kResourceExhausted,
                   fmt::format("{} calls are under way, the most of {}", most_, setting_)),
        "TOO_MANY_CALLS");
  }
  under_way_.Increment();
  return absl::OkStatus();
}

void CallLimit::End() {
  now_.fetch_sub(1, std::memory_order_relaxed);
  under_way_.Decrement();
}

}  // namespace mmsmo::rpc
