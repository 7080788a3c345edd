// One Subscriber::Run on a named subscription: from the stream to the handlers, and from what they
// say to the gateway.

#pragma once

#include <atomic>
#include <memory>
#include <string>

#include "client/acknowledger.h"
#include "client/deliveries.h"
#include "client/stream_loop.h"
#include "client/subscriber.h"

namespace mmsmo {

class SubscriptionRun : private StreamLoop::Sink {
 public:
  // The references must outlive it.
  SubscriptionRun(const SubscriberOptions& options, const std::string& subscription,
                  const Subscriber::DeliveryHandler& handler, std::atomic<int64_t>* failed_acks);

  // Called once.
  absl::Status Run();
  // Thread-safe, also before Run.
  void Stop() { deliveries_.Close(); }

 private:
  v1::SubscribeRequest NextRequest() override;
  void OnFrame(const std::shared_ptr<v1::SubscribeResponse>& frame) override;
  void OnStreamEnd() override;

  void HandleDeliveries();
  // What the handler says, and what that comes to.
  Update Handle(const v1::Delivery& delivery);
  void FinishWhatIsInHand();

  const SubscriberOptions& options_;
  const std::string& subscription_;
  const Subscriber::DeliveryHandler& handler_;
  const std::unique_ptr<v1::MmsMoService::Stub> stub_;
  Deliveries deliveries_;
  Acknowledger acknowledger_;
  StreamLoop loop_;
  // Of the stream that is read, or was read last: what the next one resumes.
  std::string stream_id_;
  int64_t frames_ = 0;                          // that arrived of it
  Outbox::Time give_up_ = Outbox::Time::max();  // waiting for answers, at the end
};

}  // namespace mmsmo
