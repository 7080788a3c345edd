#include "client/retry_delays.h"

#include <google/protobuf/util/time_util.h>

#include <algorithm>
#include <utility>

#include "grpcpp/client_context.h"

namespace mmsmo {
namespace {

using google::protobuf::util::TimeUtil;
using std::chrono::milliseconds;

constexpr milliseconds kDefaultMinimum{1000};
constexpr milliseconds kDefaultMaximum{60'000};
constexpr milliseconds kCallTimeout{2000};
// A policy that is changed is noticed after so long.
constexpr milliseconds kAskEvery{60'000};

}  // namespace

milliseconds RetryDelay(const v1::RetryPolicy& policy, int attempt) {
  milliseconds delay = kDefaultMinimum, maximum = kDefaultMaximum;
  if (policy.has_minimum_backoff()) {
    delay = milliseconds(TimeUtil::DurationToMilliseconds(policy.minimum_backoff()));
  }
  if (policy.has_maximum_backoff()) {
    maximum = milliseconds(TimeUtil::DurationToMilliseconds(policy.maximum_backoff()));
  }
  for (int i = 1; i < attempt && delay > milliseconds(0) && delay < maximum; ++i) delay *= 2;
  return std::min(delay, maximum);
}

RetryDelays::RetryDelays(const std::shared_ptr<grpc::Channel>& channel, std::string subscription)
    : stub_(v1::SubscriptionService::NewStub(channel)), subscription_(std::move(subscription)) {}

milliseconds RetryDelays::After(int attempt) {
  const std::lock_guard lock(mu_);
  const auto now = std::chrono::steady_clock::now();
  if (now >= ask_at_) {
    ask_at_ = now + kAskEvery;
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + kCallTimeout);
    v1::GetSubscriptionRequest request;
    v1::GetSubscriptionResponse response;
    request.set_name(subscription_);
    if (stub_->GetSubscription(&context, request, &response).ok()) {
      policy_ = response.subscription().retry_policy();
    }
  }
  return RetryDelay(policy_, attempt);
}

}  // namespace mmsmo
