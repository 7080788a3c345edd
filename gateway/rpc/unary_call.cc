#include "gateway/rpc/unary_call.h"

#include "gateway/base/status.h"

namespace mmsmo::rpc {

absl::Status TooManyBytes() {
  return WithReason(
      MakeStatus(absl::StatusCode::kResourceExhausted,
                 "the calls that are under way hold as many bytes as max-call-bytes lets them"),
      "TOO_MANY_CALLS");
}

UnaryCall::UnaryCall(const UnaryLimits& limits, int64_t cost) {
  const absl::Status status = Count(limits, cost);
  refused_ = !status.ok();
  if (refused_) {
    Finish(ToGrpc(status));
  } else {
    pending_->work_ = OpenWork::Item(limits.work);
    pending_->call_ = this;
  }
}

absl::Status UnaryCall::Count(const UnaryLimits& limits, int64_t cost) {
  pending_->held_ = ByteBudget::Part(limits.bytes);
  if (!pending_->held_.Resize(cost)) {
    limits.over_bytes->Increment();
    return TooManyBytes();
  }
  if (limits.calls == nullptr) return absl::OkStatus();
  absl::Status status = limits.calls->Begin();
  if (status.ok()) limit_ = limits.calls;
  return status;
}

void UnaryCall::OnCancel() {
  pending_->Answer(MakeStatus(absl::StatusCode::kCancelled, "the call was cancelled"));
}

void UnaryCall::OnDone() {
  if (limit_ != nullptr) limit_->End();
  delete this;
}

}  // namespace mmsmo::rpc
