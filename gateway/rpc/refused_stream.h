// A call of many answers that fails before it starts.

#pragma once

#include <grpcpp/support/server_callback.h>

#include <atomic>
#include <memory>

#include "absl/status/status.h"
#include "gateway/rpc/gate.h"
#include "gateway/rpc/status.h"

namespace mmsmo::rpc {

template <typename Response>
class RefusedStream final : public grpc::ServerWriteReactor<Response> {
 public:
  // Ends with that error at once.
  static RefusedStream* Begin(const absl::Status& status) {
    auto* const stream = new RefusedStream;
    End(*stream->open_, status);
    return stream;
  }
  // Ends when `admission`, a refusal, is to be told. `gate` must outlive the call.
  static RefusedStream* Begin(Gate* gate, const Admission& admission) {
    auto* const stream = new RefusedStream;
    gate->AnswerLate(admission.late,
                     [open = stream->open_, status = admission.status] { End(*open, status); });
    return stream;
  }

  void OnCancel() override {
    End(*open_, MakeStatus(absl::StatusCode::kCancelled, "the call was cancelled"));
  }
  void OnDone() override { delete this; }

 private:
  using Open = std::atomic<RefusedStream*>;  // null once it is finished

  static void End(Open& open, const absl::Status& status) {
    if (auto* const stream = open.exchange(nullptr)) stream->Finish(ToGrpc(status));
  }

  const std::shared_ptr<Open> open_ = std::make_shared<Open>(this);
};

}  // namespace mmsmo::rpc
