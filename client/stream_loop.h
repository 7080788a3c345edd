// Reads streams of Subscribe, one after the other: one that fails, ends, or is silent for three
// heartbeats is replaced, after a wait that grows from failure to failure.

#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "client/gateway_stub.h"
#include "grpcpp/client_context.h"
#include "mmsmo/subscriber.h"
#include "mmsmo/v1/mms_mo_service.grpc.pb.h"
#include "mutex.h"

namespace mmsmo {

// Run is called once; everything else is thread-safe.
class StreamLoop {
 public:
  // What the streams are for. Called on Run's thread.
  class Sink {
   public:
    virtual ~Sink() = default;
    // What the next stream begins with: its source, and what belongs to that.
    virtual v1::SubscribeRequest NextRequest() = 0;
    // A sink that is slow is not taken for a silent gateway.
    virtual void OnFrame(const std::shared_ptr<v1::SubscribeResponse>& frame) = 0;
    // `was_silent`: the gateway gave no sign of life; the stub has another connection now.
    virtual void OnStreamEnd(bool /*was_silent*/) {}
  };

  // Both must outlive it.
  StreamLoop(const SubscriberOptions& options, GatewayStub* stub);

  // Until Stop, or a failure that is final, which it returns.
  absl::Status Run(Sink* sink);

  // Ends Run soon. Also before Run.
  void Stop();
  bool stopped() const { return stopped_; }

 private:
  using Time = std::chrono::steady_clock::time_point;

  std::string CurrentToken() const;
  absl::Status ReadStream(Sink* sink, bool* got_frame);
  bool Begin(grpc::ClientContext* context);
  absl::Status End(const grpc::Status& status);
  void OnStarted(const v1::Started& started);
  v1::SubscribeRequest Complete(v1::SubscribeRequest request) const;
  void SetDeadline(Time deadline);
  bool was_silent() const;
  // Or until Stop.
  void Wait(std::chrono::milliseconds time);
  void WatchForSilence();

  const SubscriberOptions& options_;
  GatewayStub& stub_;
  std::chrono::milliseconds silence_{0};  // no longer than this between two frames

  std::atomic<bool> stopped_ = false;  // written with mu_ held
  mutable Mutex mu_;
  CondVar changed_;
  bool done_ ABSL_GUARDED_BY(mu_) = false;
  // Of the stream that is being read: to be cancelled at the deadline or by Stop.
  grpc::ClientContext* context_ ABSL_GUARDED_BY(mu_) = nullptr;
  Time deadline_ ABSL_GUARDED_BY(mu_) = Time::max();
  bool was_silent_ ABSL_GUARDED_BY(mu_) = false;
  // A deadline that only moves away, as one does with each frame, need not wake the watchdog.
  Time watchdog_sleeps_until_ ABSL_GUARDED_BY(mu_) = Time::max();
};

}  // namespace mmsmo
