#include "gateway/rpc/unary_call.h"

#include <utility>

#include "gateway/base/status.h"

namespace mmsmo::rpc {

absl::Status TooManyBytes() {
  return WithReason(
      MakeStatus(absl::StatusCode::kResourceExhausted,
                 "the calls that are under way hold as many bytes as max-call-bytes lets them"),
      "TOO_MANY_CALLS");
}

UnaryCall::UnaryCall(const UnaryLimits& limits, Admission admission, int64_t cost) {
  if (admission.ok()) admission.status = Count(limits, cost);
  refused_ = !admission.ok();
  pending_->call_ = this;
  if (!refused_) {
    pending_->caller_ = std::move(admission.caller);
    pending_->work_ = OpenWork::Item(limits.work);
  } else if (admission.late.count() == 0) {
    pending_->Answer(admission.status);
  } else {
    limits.gate->AnswerLate(admission.late, [pending = pending_, status = admission.status] {
      pending->Answer(status);
    });
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
