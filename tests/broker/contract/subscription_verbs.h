// The subscription "orders" and its streams, as a test wants to talk to them.

#pragma once

#include <future>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "gateway/broker/subscription_settings.h"
#include "tests/broker/contract/broker_verbs.h"

namespace mmsmo::broker {

class SubscriptionVerbs : public BrokerVerbs {
 public:
  using Deliveries = std::vector<v1::Delivery>;

  Subscriptions& subscriptions() { return broker().subscriptions(); }

  static v1::Subscription Wanted(const std::string& name = "orders") {
    v1::Subscription wanted;
    wanted.set_name(name);
    *wanted.mutable_start_position() = Earliest();
    wanted.mutable_ack_deadline()->set_seconds(10);
    wanted.mutable_retry_policy()->mutable_minimum_backoff()->set_seconds(1);
    return wanted;
  }
  absl::StatusOr<v1::Subscription> Create(const v1::Subscription& wanted = Wanted()) {
    auto complete = CompleteSubscription(wanted);
    if (!complete.ok()) return complete.status();
    return subscriptions().Create(*complete);
  }
  v1::Subscription Get() {
    auto subscription = subscriptions().Get("orders");
    EXPECT_THAT(subscription, IsOk());
    return subscription.ok() ? *subscription : v1::Subscription();
  }
  void AcceptAll(const std::vector<std::string>& ids, const std::string& sender = "14085550100") {
    for (const std::string& id : ids) {
      ASSERT_THAT(Append(EventOf(id, 0, "all", sender)), IsOk());
    }
  }

  // --- Streams, by number.

  static absl::StatusOr<SubscriptionStream> OpenStreamOf(Subscriptions& subscriptions,
                                                         const std::string& name,
                                                         const StreamWish& wish = {}) {
    std::promise<absl::StatusOr<SubscriptionStream>> promise;
    subscriptions.OpenStream(name, wish,
                             [&](auto opened) { promise.set_value(std::move(opened)); });
    return promise.get_future().get();
  }
  Feed& Stream(int number = 0, const StreamWish& wish = {}) {
    auto& stream = streams_[number];
    if (!stream) {
      auto opened = OpenStreamOf(subscriptions(), "orders", wish);
      EXPECT_THAT(opened, IsOk());
      stream = std::move(opened->feed);
    }
    return *stream;
  }
  // Whether it has taken over what the other had.
  bool ResumeAs(int number, const StreamWish& wish) {
    auto opened = OpenStreamOf(subscriptions(), "orders", wish);
    EXPECT_THAT(opened, IsOk());
    streams_[number] = std::move(opened->feed);
    return opened->resumed;
  }
  void CutStream(int number = 0) { streams_.erase(number); }
  absl::Status Leave(const std::string& stream_id, int64_t received_frames) {
    std::promise<absl::Status> promise;
    subscriptions().Leave("orders", stream_id, received_frames,
                          [&promise](const absl::Status& status) { promise.set_value(status); });
    return promise.get_future().get();
  }

  // What the stream gets, once what is made ready for it is ready.
  static absl::StatusOr<Batch> TakeReady(Feed& feed, int max = 100, uint32_t frame = 1) {
    while (true) {
      auto batch = feed.Take({.max_events = max, .max_bytes = 1 << 20, .frame = frame});
      if (!batch.ok() || batch->count > 0) return batch;
      if (batch->left == Batch::Left::kMore) continue;
      if (batch->left != Batch::Left::kComing) return batch;
      std::promise<void> woken;
      feed.Wait([&woken] { woken.set_value(); });
      woken.get_future().wait();
    }
  }
  Deliveries Take(int number = 0, int max = 100, uint32_t frame = 1) {
    auto batch = TakeReady(Stream(number), max, frame);
    EXPECT_THAT(batch, IsOk());
    if (!batch.ok()) return {};
    v1::DeliveryBatch deliveries;
    EXPECT_TRUE(deliveries.ParseFromString(batch->deliveries));
    EXPECT_EQ(batch->count, deliveries.deliveries_size());
    left_ = batch->left;
    return {deliveries.deliveries().begin(), deliveries.deliveries().end()};
  }
  // Tracking id and attempt, as "a:1".
  static std::vector<std::string> Ids(const Deliveries& deliveries) {
    std::vector<std::string> ids;
    for (const auto& delivery : deliveries) {
      ids.push_back(delivery.event().mms_mo().tracking_id() + ":" +
                    std::to_string(delivery.attempt()));
    }
    return ids;
  }
  std::vector<std::string> TakeIds(int number = 0) { return Ids(Take(number)); }

  // --- What becomes of deliveries.

  absl::StatusOr<std::vector<AckFailure>> Change(const std::vector<std::string>& ack_ids,
                                                 AckChange change) {
    std::promise<absl::StatusOr<std::vector<AckFailure>>> promise;
    subscriptions().Change("orders", {ack_ids.begin(), ack_ids.end()}, std::move(change),
                           [&promise](auto failures) { promise.set_value(std::move(failures)); });
    return promise.get_future().get();
  }
  std::vector<v1::AckFailureReason> FailuresOf(const std::vector<std::string>& ack_ids,
                                               AckChange change = {}) {
    auto failures = Change(ack_ids, std::move(change));
    EXPECT_THAT(failures, IsOk());
    std::vector<v1::AckFailureReason> reasons;
    if (!failures.ok()) return reasons;
    for (const auto& failure : *failures) reasons.push_back(failure.reason);
    return reasons;
  }
  void Ack(const Deliveries& deliveries) {
    std::vector<std::string> ids;
    for (const auto& delivery : deliveries) ids.push_back(delivery.ack_id());
    EXPECT_THAT(FailuresOf(ids), testing::IsEmpty());
  }
  void GiveUp(const v1::Delivery& delivery, const std::string& reason = "no") {
    EXPECT_THAT(
        FailuresOf({delivery.ack_id()}, {.kind = AckChange::Kind::kDeadLetter, .reason = reason}),
        testing::IsEmpty());
  }

 protected:
  std::map<int, std::unique_ptr<Feed>> streams_;  // to end before the broker
  Batch::Left left_ = Batch::Left::kMore;         // by the last Take
};

}  // namespace mmsmo::broker
