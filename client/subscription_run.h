// One Subscriber::Run on a named subscription: from the stream to the handlers, and from what they
// say to the gateway.

#pragma once

#include <atomic>
#include <memory>
#include <stop_token>
#include <string>
#include <variant>

#include "client/acknowledger.h"
#include "client/deliveries.h"
#include "client/gateway_stub.h"
#include "client/handler_ceiling.h"
#include "client/stream_loop.h"
#include "mmsmo/subscriber.h"
#include "mutex.h"

namespace mmsmo {

class SubscriptionRun : private StreamLoop::Sink {
 public:
  using Handler =
      std::variant<const Subscriber::DeliveryHandler*, const Subscriber::StoppableHandler*>;

  // The references must outlive it, and the handler.
  SubscriptionRun(const SubscriberOptions& options, const std::string& subscription,
                  Handler handler, std::atomic<int64_t>* failed_acks);

  // Called once.
  absl::Status Run();
  // As Subscriber::Stop. Thread-safe, also before Run.
  void Stop(StopMode mode, std::chrono::milliseconds timeout);

 private:
  v1::SubscribeRequest NextRequest() override;
  void OnFrame(const std::shared_ptr<v1::SubscribeResponse>& frame) override;
  void OnStreamEnd(bool was_silent) override;

  void HandleDeliveries();
  // What the handler says, around which on_handling is told, and what that comes to.
  Update Handle(const Deliveries::Claim& claim);
  Verdict CallHandler(const Deliveries::Claim& claim);
  void UntilStopped();
  void WaitUntilLeft(Outbox::Time give_up);
  void LeaveStreams();
  std::optional<v1::ModifyAckDeadlineRequest> BeginToLeave(grpc::ClientContext* context);

  const SubscriberOptions& options_;
  const std::string& subscription_;
  const Handler handler_;
  GatewayStub stub_;
  Deliveries deliveries_;
  Acknowledger acknowledger_;
  HandlerCeiling ceiling_;
  StreamLoop loop_;

  Mutex mu_;
  CondVar changed_;
  // Of the stream that is read, or was read last: what the next one resumes.
  std::string stream_id_ ABSL_GUARDED_BY(mu_);
  int64_t frames_ ABSL_GUARDED_BY(mu_) = 0;  // that arrived of it, while this takes any
  bool connected_ ABSL_GUARDED_BY(mu_) = false;
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  std::string left_ ABSL_GUARDED_BY(mu_);  // the stream that delivers nothing more
  grpc::ClientContext* leave_call_ ABSL_GUARDED_BY(mu_) = nullptr;  // while it is under way
  bool finished_ ABSL_GUARDED_BY(mu_) = false;  // everything, so that streams may end
};

}  // namespace mmsmo
