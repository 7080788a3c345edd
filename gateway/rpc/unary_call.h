// Unary calls: each is over once it is answered or its client has gone, whichever comes first.

#pragma once

#include <grpcpp/support/server_callback.h>

#include <atomic>
#include <cstdint>
#include <memory>

#include "absl/status/status.h"
#include "gateway/base/byte_budget.h"
#include "gateway/base/metrics.h"
#include "gateway/rpc/call_limit.h"
#include "gateway/rpc/gate.h"
#include "gateway/rpc/open_work.h"
#include "gateway/rpc/status.h"

namespace mmsmo::rpc {

// Who may make unary calls, and what they may have at once. All must outlive them, and the work
// that they began.
struct UnaryLimits {
  Gate* gate = nullptr;
  CallLimit* calls = nullptr;   // that are not over; null: as many as there are
  ByteBudget* bytes = nullptr;  // of what they ask for, until nobody is at it any more; likewise
  OpenWork* work = nullptr;
  prometheus::Counter* over_bytes = nullptr;  // counts those that `bytes` refused; with it
};

// What a request may hold while it is under way, beside which some of it is copied. `message` is a
// protobuf message.
template <typename Message>
int64_t CostOf(const Message& message) {
  constexpr int64_t kBookkeepingBytes = 1 << 10;
  return kBookkeepingBytes + 2 * static_cast<int64_t>(message.SpaceUsedLong());
}

// ResourceExhausted with reason "TOO_MANY_CALLS", for what a budget of bytes refused.
absl::Status TooManyBytes();

// A call in the hands of whoever is to answer it, who may do so when it is over. Thread-safe.
class PendingCall {
 public:
  // Finishes the call with the status that `work` returns. Only `work` may use the call's request
  // and response: where the call is over they are gone, and it is not called.
  template <typename Work>
  void Answer(Work work) {
    if (auto* const call = call_.exchange(nullptr)) call->Finish(ToGrpc(work()));
  }
  void Answer(const absl::Status& status) {
    Answer([&status] { return status; });
  }

  bool over() const { return call_ == nullptr; }
  const Caller& caller() const { return caller_; }

 private:
  friend class UnaryCall;

  Caller caller_;  // constant once the call has begun
  OpenWork::Item work_;
  ByteBudget::Part held_;
  std::atomic<grpc::ServerUnaryReactor*> call_{nullptr};
};

// Counts until it is over. One that is refused is over already.
//
//   UnaryCall* const call = UnaryCall::Begin(limits, *context, *request, {Permission::kRead});
//   if (call->refused()) return call;
//   pool->Run([request, response, pending = call->pending()] {
//     pending->Answer([&] { return Fill(*request, response); });
//   });
//   return call;
class UnaryCall final : public grpc::ServerUnaryReactor {
 public:
  template <typename Request>
  static UnaryCall* Begin(const UnaryLimits& limits, const grpc::CallbackServerContext& context,
                          const Request& request, const Question& question) {
    return new UnaryCall(limits, limits.gate->Admit(context, question), CostOf(request));
  }

  bool refused() const { return refused_; }
  const std::shared_ptr<PendingCall>& pending() const { return pending_; }

  void OnCancel() override;
  void OnDone() override;

 private:
  UnaryCall(const UnaryLimits& limits, Admission admission, int64_t cost);
  absl::Status Count(const UnaryLimits& limits, int64_t cost);

  CallLimit* limit_ = nullptr;  // that it counts against
  bool refused_ = false;
  const std::shared_ptr<PendingCall> pending_ = std::make_shared<PendingCall>();
};

}  // namespace mmsmo::rpc
