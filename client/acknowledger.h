// Tells the gateway what becomes of a subscription's deliveries, several calls at a time, and
// prolongs the leases of those that are held.

#pragma once

#include <chrono>
#include <functional>
#include <list>
#include <string>
#include <thread>
#include <vector>

#include "client/deliveries.h"
#include "client/gateway_stub.h"
#include "client/outbox.h"
#include "mmsmo/v1/mms_mo_service.grpc.pb.h"
#include "mutex.h"

namespace mmsmo {

// Thread-safe.
class Acknowledger {
 public:
  using OnFailed = std::function<void(const FailedUpdate&)>;

  // The references must outlive it. `on_failed` is called on a thread of its own, not after the
  // destructor.
  Acknowledger(const GatewayStub& stub, std::string subscription, const Deliveries& deliveries,
               Backoff::Options backoff, OnFailed on_failed);
  // Gives up what is not answered.
  ~Acknowledger();

  Acknowledger(const Acknowledger&) = delete;
  Acknowledger& operator=(const Acknowledger&) = delete;

  // Done soon, and tried again until it is answered.
  void Add(const Update& update, std::string ack_id);
  void AddAll(const Update& update, std::vector<std::string> ack_ids);

  // From now on prolongs what is held, three times in each ack deadline; 0: not.
  void KeepLeases(std::chrono::milliseconds ack_deadline);

  // Gives up the calls that are under way, to make them again: over a new connection, if the stub
  // has one.
  void CallAgain();

  // Waits until everything is answered, at the longest until `deadline`. Updates no longer wait for
  // others to share a call with.
  void Flush(Outbox::Time deadline);

 private:
  struct Exchange;  // one call

  void Loop();
  // Both release the lock for a while.
  void TakeAnswers() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void SendWhatIsDue() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void ProlongLeases(std::list<Exchange>* calls, Outbox::Time now)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Start(std::list<Exchange>::iterator exchange);
  void OnDone(std::list<Exchange>::iterator exchange, const grpc::Status& status);
  bool IsIdle() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  const GatewayStub& stub_;
  const std::string subscription_;
  const Deliveries& deliveries_;
  const OnFailed on_failed_;

  Mutex mu_;
  CondVar changed_;  // wakes the thread
  CondVar idle_;     // wakes Flush and the destructor
  Outbox outbox_ ABSL_GUARDED_BY(mu_);
  std::list<Exchange> under_way_ ABSL_GUARDED_BY(mu_), answered_ ABSL_GUARDED_BY(mu_);
  std::chrono::milliseconds ack_deadline_ ABSL_GUARDED_BY(mu_){0};
  Outbox::Time next_extension_ ABSL_GUARDED_BY(mu_) = Outbox::Time::max();
  bool closing_ ABSL_GUARDED_BY(mu_) = false;

  std::thread thread_;
};

}  // namespace mmsmo
