// One stream's way through a subscription.

#pragma once

#include <memory>
#include <string>
#include <utility>

#include "gateway/broker/feed.h"
#include "gateway/embedded/subscriptions/subscription.h"

namespace mmsmo::embedded {

class SubscriptionFeed final : public broker::Feed {
 public:
  // Of a stream that was added; removes it.
  SubscriptionFeed(std::shared_ptr<Subscription> subscription, StreamId stream)
      : subscription_(std::move(subscription)), stream_(stream) {}
  ~SubscriptionFeed() override { subscription_->RemoveStream(stream_); }

  absl::StatusOr<broker::Batch> Take(const broker::TakeLimits& limits) override {
    return subscription_->Take(stream_, limits);
  }
  void Wait(absl::AnyInvocable<void()> wake) override {
    subscription_->Wait(stream_, std::move(wake));
  }
  std::string Cursor() const override { return subscription_->Cursor(); }
  int64_t Backlog() const override { return subscription_->Backlog(); }
  int64_t Outstanding() const override { return subscription_->Outstanding(stream_); }

 private:
  const std::shared_ptr<Subscription> subscription_;
  const StreamId stream_;
};

}  // namespace mmsmo::embedded
