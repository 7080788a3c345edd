// The gateway's methods, over a connection that can be given up for a new one.

#pragma once

#include <memory>

#include "mmsmo/subscriber.h"
#include "mmsmo/v1/mms_mo_service.grpc.pb.h"
#include "mutex.h"

namespace mmsmo {

// Thread-safe.
class GatewayStub {
 public:
  // The options must outlive it.
  explicit GatewayStub(const SubscriberOptions& options) : options_(options) { Renew(); }

  std::shared_ptr<v1::MmsMoService::Stub> Get() const;

  // From now on Get gives one of a new connection. What leads nowhere without saying so, such as
  // a connection whose packets are dropped, would otherwise be used until TCP gives up on it.
  void Renew();

 private:
  const SubscriberOptions& options_;
  mutable Mutex mu_;
  std::shared_ptr<v1::MmsMoService::Stub> stub_ ABSL_GUARDED_BY(mu_);
};

}  // namespace mmsmo
