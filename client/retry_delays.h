// How long a named subscription lets an event wait before it is delivered again.

#pragma once

#include <chrono>
#include <memory>
#include <mutex>
#include <string>

#include "grpcpp/channel.h"
#include "mmsmo/v1/subscription_service.grpc.pb.h"

namespace mmsmo {

// The minimum, doubled with each attempt after the first, up to the maximum; 1 s and 60 s where the
// policy says nothing.
std::chrono::milliseconds RetryDelay(const v1::RetryPolicy& policy, int attempt);

// The policy as the gateway has it. Thread-safe.
class RetryDelays {
 public:
  RetryDelays(const std::shared_ptr<grpc::Channel>& channel, std::string subscription);

  // Asks the gateway at times, which takes a moment. Where it doesn't answer, as if the policy said
  // nothing.
  std::chrono::milliseconds After(int attempt);

 private:
  const std::unique_ptr<v1::SubscriptionService::Stub> stub_;
  const std::string subscription_;

  std::mutex mu_;
  v1::RetryPolicy policy_;
  std::chrono::steady_clock::time_point ask_at_ = std::chrono::steady_clock::time_point::min();
};

}  // namespace mmsmo
