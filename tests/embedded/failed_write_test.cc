// What the engine says, and what it keeps, where the disk takes no more writes.

#include <optional>
#include <string>
#include <vector>

#include "gateway/broker/subscription_settings.h"
#include "tests/embedded/engine.h"
#include "tests/support/file_size_limit.h"

namespace mmsmo::embedded {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class FailedWriteTest : public testing::Test, protected Engine {
 protected:
  FailedWriteTest() { Open(); }
  ~FailedWriteTest() override {
    stream_.reset();
    disk_.reset();
  }

  void BreakDisk() { disk_.emplace(); }
  // What a restart on a good disk finds.
  void RestartOnAGoodDisk() {
    stream_.reset();
    disk_.reset();
    Reopen();
  }

  static v1::Subscription Wanted(const std::string& name) {
    v1::Subscription wanted;
    wanted.set_name(name);
    *wanted.mutable_start_position() = Earliest();
    return *broker::CompleteSubscription(wanted);
  }
  broker::Subscriptions& subscriptions() { return broker().subscriptions(); }
  absl::StatusOr<std::vector<v1::Delivery>> Take() {
    if (!stream_) stream_ = std::move(OpenStreamOf(subscriptions(), "orders")->feed);
    auto batch = Engine::TakeReady(*stream_);
    if (!batch.ok()) return batch.status();
    v1::DeliveryBatch parsed;
    EXPECT_TRUE(parsed.ParseFromString(batch->deliveries));
    return std::vector<v1::Delivery>(parsed.deliveries().begin(), parsed.deliveries().end());
  }
  absl::StatusOr<std::vector<broker::AckFailure>> Change(const v1::Delivery& delivery,
                                                         broker::AckChange change = {}) {
    std::promise<absl::StatusOr<std::vector<broker::AckFailure>>> promise;
    subscriptions().Change("orders", {delivery.ack_id()}, std::move(change),
                           [&promise](auto failures) { promise.set_value(std::move(failures)); });
    return promise.get_future().get();
  }

  std::optional<NoFileMayGrow> disk_;
  std::unique_ptr<broker::Feed> stream_;
};

TEST_F(FailedWriteTest, PostbacksAreNotAcceptedAndTheGatewayIsNotReady) {
  ASSERT_THAT(Append(EventOf("a")), IsOk());
  EXPECT_THAT(broker().Ready(), IsOk());
  BreakDisk();
  EXPECT_THAT(Append(EventOf("b")), HasReason("not_durable"));
  EXPECT_THAT(broker().Ready(), StatusIs(absl::StatusCode::kUnavailable, HasSubstr("writing")));
  EXPECT_THAT(Append(EventOf("c")), HasReason("not_durable"));
  EXPECT_THAT(ReadIds(Earliest()), ElementsAre("a"));
  RestartOnAGoodDisk();
  EXPECT_THAT(broker().Ready(), IsOk());
  EXPECT_EQ(Append(EventOf("a"))->outcome, broker::Receipt::Outcome::kDuplicate);
  EXPECT_THAT(Append(EventOf("c")), IsOk());
}

TEST_F(FailedWriteTest, RetentionTakesNothingAway) {
  options().retention_age_micros = 3600ll * 1'000'000;
  Reopen();
  ASSERT_THAT(Append(EventOf("a")), IsOk());
  BreakDisk();
  clock().AdvanceSeconds(10'000);
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  // To whoever was at something just then, the jump looks like a disk that hangs.
  const auto fails = [&] {
    return broker().Ready().message().find("writing") != std::string::npos;
  };
  while (!fails() && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();
  EXPECT_THAT(broker().Ready(), StatusIs(absl::StatusCode::kUnavailable, HasSubstr("writing")));
  EXPECT_THAT(ReadIds(Earliest()), ElementsAre("a"));
}

TEST_F(FailedWriteTest, SubscriptionsAreNotChanged) {
  ASSERT_THAT(subscriptions().Create(Wanted("orders")), IsOk());
  for (const char* id : {"a", "b"}) ASSERT_THAT(Append(EventOf(id)), IsOk());
  auto taken = Take();
  ASSERT_THAT(taken, IsOk());
  ASSERT_THAT(Change(taken->at(0), {.kind = broker::AckChange::Kind::kDeadLetter}), IsOk());
  BreakDisk();

  const auto is_unwritten =
      StatusIs(absl::StatusCode::kUnavailable, HasSubstr("could not be written; try again"));
  EXPECT_THAT(subscriptions().Create(Wanted("others")), is_unwritten);
  EXPECT_THAT(subscriptions().Get("others"), StatusIs(absl::StatusCode::kNotFound, testing::_));
  v1::Subscription changed = Wanted("orders");
  changed.set_max_attempts(7);
  google::protobuf::FieldMask mask;
  mask.add_paths("max_attempts");
  EXPECT_THAT(subscriptions().Update(changed, mask), is_unwritten);
  EXPECT_THAT(subscriptions().Seek("orders", Earliest()), is_unwritten);
  EXPECT_THAT(subscriptions().ReplayDeadLetters("orders", {}), is_unwritten);
  EXPECT_THAT(subscriptions().Delete("orders"), is_unwritten);
  EXPECT_THAT(Change(taken->at(1)), is_unwritten);
  auto now = subscriptions().Get("orders");
  ASSERT_THAT(now, IsOk());
  EXPECT_EQ(now->max_attempts(), 0);
  EXPECT_EQ(now->dead_letter_count(), 1);

  RestartOnAGoodDisk();
  EXPECT_EQ(subscriptions().Get("orders")->backlog_count(), 1) << "b was not acknowledged";
  taken = Take();
  ASSERT_EQ(taken->size(), 1u);
  EXPECT_EQ(taken->at(0).event().mms_mo().tracking_id(), "b");
}

TEST_F(FailedWriteTest, AnAcknowledgementThatFailsIsEnoughForItToBeNotReady) {
  ASSERT_THAT(subscriptions().Create(Wanted("orders")), IsOk());
  ASSERT_THAT(Append(EventOf("a")), IsOk());
  auto taken = Take();
  ASSERT_THAT(taken, IsOk());
  BreakDisk();
  EXPECT_THAT(Change(taken->at(0)), StatusIs(absl::StatusCode::kUnavailable, testing::_));
  EXPECT_THAT(broker().Ready(), StatusIs(absl::StatusCode::kUnavailable, HasSubstr("writing")));
}

TEST_F(FailedWriteTest, WhatCannotBeRecordedIsNotDelivered) {
  ASSERT_THAT(subscriptions().Create(Wanted("orders")), IsOk());
  ASSERT_THAT(Append(EventOf("a")), IsOk());
  BreakDisk();
  for (int i = 0; i < 2; ++i) {
    EXPECT_THAT(Take(), StatusIs(absl::StatusCode::kUnavailable, HasSubstr("orders")));
  }
  EXPECT_EQ(stream_->Outstanding(), 0);
  RestartOnAGoodDisk();
  const auto taken = Take();
  ASSERT_THAT(taken, IsOk());
  ASSERT_EQ(taken->size(), 1u);
  EXPECT_EQ(taken->at(0).attempt(), 1) << "what was not delivered is no attempt";
}

}  // namespace
}  // namespace mmsmo::embedded
