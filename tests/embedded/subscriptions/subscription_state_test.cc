#include "gateway/embedded/subscriptions/subscription_state.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <optional>
#include <vector>

namespace mmsmo::embedded {
namespace {

using Effect = SubscriptionState::Effect;
using Lease = SubscriptionState::Lease;
using testing::IsEmpty;
using testing::Optional;

constexpr int64_t kSecond = 1'000'000;
constexpr int64_t kNever = std::numeric_limits<int64_t>::max();
constexpr SubscriptionState::StreamId kStream = 1, kOther = 2;

SubscriptionPolicy Policy() {
  return {.ack_deadline = 10 * kSecond,
          .min_backoff = 1 * kSecond,
          .max_backoff = 4 * kSecond,
          .max_outstanding = 100};
}

MATCHER_P2(IsLeaseOf, sequence, attempt, "") {
  return arg.sequence == static_cast<uint64_t>(sequence) &&
         arg.attempt == static_cast<uint32_t>(attempt);
}

class SubscriptionStateTest : public testing::Test {
 protected:
  void Start(const SubscriptionPolicy& policy) {
    state_.emplace(policy, AckedSet(0), 0);
    state_->AddStream(kStream, {.messages = 100, .bytes = 1 << 20});
  }
  // As after a restart: what is in the store, and what `attempts` says of the next event.
  void Restart(const SubscriptionPolicy& policy) {
    AckedSet acked = state_->acked().floor() == 0 ? AckedSet(0) : AckedSet(state_->acked().floor());
    for (uint64_t s = acked.floor() + 1; s <= state_->delivered_through(); ++s) {
      if (state_->acked().Contains(s)) acked.Add(s);
    }
    state_.emplace(policy, std::move(acked), state_->delivered_through());
    state_->AddStream(kStream, {.messages = 100, .bytes = 1 << 20});
  }

  std::optional<Lease> Offer(uint64_t sender = 0, SubscriptionState::StreamId stream = kStream,
                             uint32_t attempts = 0) {
    return state_->Offer(
        {.sequence = state_->next(), .sender = sender, .bytes = 100, .attempts = attempts}, stream,
        now_);
  }
  std::optional<Lease> Redeliver(SubscriptionState::StreamId stream = kStream) {
    return state_->Redeliver(stream, now_);
  }
  void Pass(int64_t micros) {
    now_ += micros;
    state_->OnTime(now_);
  }

  std::optional<SubscriptionState> state_;
  int64_t now_ = 1'000 * kSecond;
};

TEST_F(SubscriptionStateTest, DeliversEachEventOnceWhileItIsLeased) {
  Start(Policy());
  const auto first = Offer();
  EXPECT_THAT(first, Optional(IsLeaseOf(1, 1)));
  EXPECT_EQ(first->deadline, now_ + 10 * kSecond);
  EXPECT_THAT(Offer(), Optional(IsLeaseOf(2, 1)));
  EXPECT_EQ(Redeliver(), std::nullopt);
  EXPECT_EQ(state_->leased(), 2u);
  EXPECT_EQ(state_->NextDue(), first->deadline);
}

TEST_F(SubscriptionStateTest, IsDoneWithWhatIsAcknowledgedInAnyOrder) {
  Start(Policy());
  const auto first = Offer(), second = Offer();
  EXPECT_EQ(state_->Acknowledge(*second), Effect::kDone);
  EXPECT_EQ(state_->acked().floor(), 0u);
  EXPECT_EQ(state_->Acknowledge(*first), Effect::kDone);
  EXPECT_EQ(state_->acked().floor(), 2u);
  EXPECT_EQ(state_->Acknowledge(*first), Effect::kBefore);
  EXPECT_EQ(state_->totals().acked, 2u);
  EXPECT_EQ(state_->NextDue(), kNever);
}

TEST_F(SubscriptionStateTest, DeliversAgainWhenALeaseEnds) {
  Start(Policy());
  const auto first = Offer();
  Pass(10 * kSecond - 1);
  EXPECT_EQ(state_->leased(), 1u);
  Pass(1);
  EXPECT_EQ(state_->leased(), 0u);
  EXPECT_EQ(Redeliver(), std::nullopt) << "it backs off";
  EXPECT_EQ(state_->Acknowledge(*first), Effect::kExpired);
  Pass(1 * kSecond);
  EXPECT_THAT(Redeliver(), Optional(IsLeaseOf(1, 2)));
  EXPECT_EQ(state_->Acknowledge(*first), Effect::kExpired) << "that was another lease";
}

TEST_F(SubscriptionStateTest, BacksOffExponentiallyUpToTheMaximum) {
  Start(Policy());
  Offer();
  for (const int64_t backoff : {1, 2, 4, 4, 4}) {
    Pass(10 * kSecond);
    EXPECT_EQ(state_->NextDue(), now_ + backoff * kSecond);
    Pass(backoff * kSecond);
    ASSERT_TRUE(Redeliver());
  }
}

TEST_F(SubscriptionStateTest, ExtendsALease) {
  Start(Policy());
  const auto first = Offer();
  EXPECT_EQ(state_->Extend(*first, now_ + 60 * kSecond), Effect::kDone);
  Pass(59 * kSecond);
  EXPECT_EQ(state_->Acknowledge(*first), Effect::kDone);
  EXPECT_EQ(state_->Extend(*first, now_), Effect::kExpired);
}

TEST_F(SubscriptionStateTest, TakesBackNowOrLater) {
  Start(Policy());
  const auto first = Offer(), second = Offer();
  EXPECT_EQ(state_->HandBack(*first, now_, now_), Effect::kDone);
  EXPECT_EQ(state_->HandBack(*second, now_ + 5 * kSecond, now_), Effect::kDone);
  EXPECT_THAT(Redeliver(), Optional(IsLeaseOf(1, 2)));
  EXPECT_EQ(Redeliver(), std::nullopt);
  Pass(5 * kSecond);
  EXPECT_THAT(Redeliver(), Optional(IsLeaseOf(2, 2)));
}

TEST_F(SubscriptionStateTest, ReturnsTheLeasesOfAStreamThatEnds) {
  Start(Policy());
  state_->AddStream(kOther, {.messages = 100, .bytes = 1 << 20});
  Offer(0, kOther);
  const auto second = Offer(0, kStream);
  state_->RemoveStream(kOther, now_);
  EXPECT_THAT(Redeliver(), Optional(IsLeaseOf(1, 2)));
  EXPECT_EQ(state_->Acknowledge(*second), Effect::kDone) << "the other stream keeps its own";
}

TEST_F(SubscriptionStateTest, GivesUpAfterTheLastAttempt) {
  SubscriptionPolicy policy = Policy();
  policy.max_attempts = 2;
  Start(policy);
  Offer();
  Pass(10 * kSecond);
  Pass(1 * kSecond);
  ASSERT_THAT(Redeliver(), Optional(IsLeaseOf(1, 2)));
  EXPECT_FALSE(state_->has_given_up());
  Pass(10 * kSecond);
  const auto given_up = state_->TakeGivenUp();
  ASSERT_EQ(given_up.size(), 1u);
  EXPECT_EQ(given_up[0].sequence, 1u);
  EXPECT_EQ(given_up[0].attempts, 2u);
  EXPECT_EQ(given_up[0].reason, "max_attempts");
  Pass(100 * kSecond);
  EXPECT_EQ(Redeliver(), std::nullopt);
  EXPECT_EQ(state_->acked().floor(), 0u) << "not before it is durable as a dead letter";
  state_->Settle(1);
  EXPECT_EQ(state_->acked().floor(), 1u);
  EXPECT_EQ(state_->totals().dead_lettered, 1u);
}

TEST_F(SubscriptionStateTest, GivesUpOnRequest) {
  Start(Policy());
  const auto first = Offer();
  EXPECT_EQ(state_->GiveUp(*first, "unreadable"), Effect::kDone);
  EXPECT_EQ(state_->GiveUp(*first, "again"), Effect::kDone) << "the first reason stays";
  EXPECT_EQ(state_->TakeGivenUp().at(0).reason, "unreadable");
}

TEST_F(SubscriptionStateTest, DeliversASendersEventsOneByOne) {
  SubscriptionPolicy policy = Policy();
  policy.order_by_sender = true;
  Start(policy);
  const auto a1 = Offer('a');
  EXPECT_EQ(Offer('a'), std::nullopt) << "it waits";
  const auto b3 = Offer('b');
  EXPECT_THAT(b3, Optional(IsLeaseOf(3, 1))) << "others flow past";
  EXPECT_EQ(Offer('a'), std::nullopt);
  EXPECT_EQ(Redeliver(), std::nullopt);
  state_->HandBack(*a1, now_, now_);
  const auto again = Redeliver();
  EXPECT_THAT(again, Optional(IsLeaseOf(1, 2)));
  EXPECT_EQ(Redeliver(), std::nullopt);
  state_->Acknowledge(*again);
  EXPECT_THAT(Redeliver(), Optional(IsLeaseOf(2, 1)));
  EXPECT_EQ(Redeliver(), std::nullopt);
}

TEST_F(SubscriptionStateTest, ReleasesASenderWhenItsEventIsGivenUp) {
  SubscriptionPolicy policy = Policy();
  policy.order_by_sender = true;
  Start(policy);
  const auto first = Offer('a');
  Offer('a');
  state_->GiveUp(*first, "no");
  EXPECT_EQ(Redeliver(), std::nullopt) << "not before that is durable";
  state_->Settle(1);
  EXPECT_THAT(Redeliver(), Optional(IsLeaseOf(2, 1)));
}

TEST_F(SubscriptionStateTest, OffersAgainAfterARestartWithExactAttempts) {
  Start(Policy());
  const auto first = Offer();
  Offer();
  state_->Acknowledge(*first);
  Restart(Policy());
  EXPECT_EQ(state_->next(), 2u);
  EXPECT_THAT(Offer(0, kStream, state_->unrecorded_attempts()), Optional(IsLeaseOf(2, 2)));
  EXPECT_THAT(Offer(), Optional(IsLeaseOf(3, 1)));
}

TEST_F(SubscriptionStateTest, TakesAnAcknowledgementFromBeforeTheRestart) {
  Start(Policy());
  Offer();
  const auto second = Offer();
  Restart(Policy());
  EXPECT_EQ(state_->Acknowledge(*second), Effect::kUnscanned);
  state_->AcknowledgeUnscanned(second->sequence);
  EXPECT_EQ(state_->Acknowledge(*second), Effect::kBefore);
  EXPECT_TRUE(state_->acked().Contains(2));
}

TEST_F(SubscriptionStateTest, GivesUpAtTheRestartWhatHadItsLastAttempt) {
  SubscriptionPolicy policy = Policy();
  policy.max_attempts = 1;
  Start(policy);
  Offer();
  Restart(policy);
  EXPECT_EQ(Offer(0, kStream, 1), std::nullopt);
  EXPECT_EQ(state_->TakeGivenUp().size(), 1u);
}

TEST_F(SubscriptionStateTest, SharesWhatThereIsBetweenStreams) {
  SubscriptionPolicy policy = Policy();
  policy.max_outstanding = 10;
  Start(policy);
  EXPECT_EQ(state_->Room(kStream, 1000), 10) << "alone";
  EXPECT_EQ(state_->Room(kStream, 3), 3);
  state_->AddStream(kOther, {.messages = 3, .bytes = 1 << 20});
  EXPECT_EQ(state_->Room(kStream, 1000), 5) << "half of the ceiling";
  EXPECT_EQ(state_->Room(kStream, 4), 2) << "half of what there is";
  EXPECT_EQ(state_->Room(kStream, 1), 1);
  EXPECT_EQ(state_->Room(kOther, 1000), 3) << "its own window";
  for (int i = 0; i < 5; ++i) Offer();
  EXPECT_EQ(state_->Room(kStream, 1000), 0);
  EXPECT_EQ(state_->Room(kOther, 1000), 3);
  EXPECT_EQ(state_->Room(kOther, 0), 0);
}

TEST_F(SubscriptionStateTest, BoundsTheBytesOfAStream) {
  Start(Policy());
  state_->AddStream(kOther, {.messages = 100, .bytes = 150});
  EXPECT_GT(state_->Room(kOther, 1000), 0);
  Offer(0, kOther);
  const auto second = Offer(0, kOther);
  EXPECT_EQ(state_->Room(kOther, 1000), 0) << "200 bytes of 150";
  state_->Acknowledge(*second);
  EXPECT_GT(state_->Room(kOther, 1000), 0);
}

TEST_F(SubscriptionStateTest, SeeksDuringFlight) {
  Start(Policy());
  const auto first = Offer();
  Offer();
  state_->Seek(0, now_);
  EXPECT_EQ(state_->leased(), 0u);
  EXPECT_EQ(state_->next(), 1u);
  EXPECT_THAT(Offer(), Optional(IsLeaseOf(1, 1))) << "as if it had never been delivered";
  EXPECT_EQ(state_->Acknowledge(*first), Effect::kExpired) << "of the time before";
  state_->Seek(10, now_);
  EXPECT_EQ(state_->next(), 11u);
  EXPECT_EQ(state_->NextDue(), kNever);
}

TEST_F(SubscriptionStateTest, CountsWhatRetentionTookAway) {
  Start(Policy());
  Offer();
  const auto second = Offer();
  const auto third = Offer();
  state_->Acknowledge(*second);
  EXPECT_EQ(state_->Expire(3), 1u) << "event 1";
  EXPECT_EQ(state_->leased(), 1u);
  EXPECT_EQ(state_->Acknowledge(*third), Effect::kDone);
  EXPECT_EQ(state_->Expire(3), 0u);
  EXPECT_EQ(state_->Expire(10), 6u) << "events 4 to 9";
  EXPECT_EQ(state_->next(), 10u);
}

TEST_F(SubscriptionStateTest, ReplaysADeadLetterFromTheFirstAttemptOn) {
  Start(Policy());
  const auto first = Offer();
  state_->GiveUp(*first, "no");
  state_->TakeGivenUp();
  state_->Settle(1);
  state_->Replay({.sequence = 1, .bytes = 100}, now_);
  state_->Replay({.sequence = 1, .bytes = 100}, now_);
  EXPECT_EQ(state_->replays(), 1u);
  const auto replay = Redeliver();
  EXPECT_THAT(replay, Optional(IsLeaseOf(1, 1)));
  EXPECT_TRUE(replay->replay);
  EXPECT_EQ(state_->Acknowledge(*first), Effect::kExpired) << "the same attempt of another lease";
  state_->Seek(0, now_);
  EXPECT_EQ(state_->replays(), 1u) << "a seek moves the log, not the dead letters";
  const auto again = Redeliver();
  EXPECT_THAT(again, Optional(IsLeaseOf(1, 2)));
  EXPECT_EQ(Offer(), std::nullopt) << "it is delivered by its replay";
  EXPECT_EQ(state_->Acknowledge(*again), Effect::kDone);
  EXPECT_EQ(state_->replays(), 0u);
  const auto settled = state_->TakeSettled();
  ASSERT_EQ(settled.size(), 1u);
  EXPECT_TRUE(settled[0].replay);
}

TEST_F(SubscriptionStateTest, BuriesTheReplayOfWhatWasGivenUpOnceMore) {
  Start(Policy());
  state_->GiveUp(*Offer(), "no");
  state_->TakeGivenUp();
  state_->Settle(1);
  state_->Seek(0, now_);
  state_->GiveUp(*Offer(), "no");
  state_->Replay({.sequence = 1, .bytes = 100}, now_);
  const auto given_up = state_->TakeGivenUp();
  ASSERT_EQ(given_up.size(), 1u);
  EXPECT_TRUE(given_up[0].replay) << "so that its dead letter is taken from there";
  state_->Settle(1);
  EXPECT_EQ(state_->replays(), 0u);
}

TEST_F(SubscriptionStateTest, KeepsADelayedRetryBehindItsSendersOtherEvent) {
  SubscriptionPolicy policy = Policy();
  policy.order_by_sender = true;
  Start(policy);
  const auto first = Offer(7);
  EXPECT_EQ(
      state_->Offer(
          {.sequence = 2, .sender = 7, .bytes = 100, .attempts = 1, .retry_at = now_ + 5 * kSecond},
          kStream, now_),
      std::nullopt);
  state_->Acknowledge(*first);
  EXPECT_TRUE(state_->IsWaiting(2));
  EXPECT_EQ(Redeliver(), std::nullopt);
  Pass(5 * kSecond);
  EXPECT_THAT(Redeliver(), Optional(IsLeaseOf(2, 2)));
}

TEST_F(SubscriptionStateTest, HoldsBackALimitedNumberOfASendersEvents) {
  SubscriptionPolicy policy = Policy();
  policy.order_by_sender = true;
  Start(policy);
  const auto first = Offer(7);
  int held = 0;
  for (; state_->MayOffer() && held < 1'000'000; ++held) ASSERT_EQ(Offer(7), std::nullopt);
  EXPECT_EQ(held, 100'000);
  state_->Acknowledge(*first);
  EXPECT_TRUE(state_->MayOffer());
}

TEST_F(SubscriptionStateTest, PassesOverWhatNeedsNoDelivery) {
  Start(Policy());
  state_->Pass();
  state_->Pass();
  EXPECT_EQ(state_->acked().floor(), 2u);
  Offer();
  state_->Pass();
  EXPECT_EQ(state_->acked().floor(), 2u);
  EXPECT_EQ(state_->next(), 5u);
}

TEST_F(SubscriptionStateTest, SaysOfWhichEventsMoreIsKept) {
  Start(Policy());
  const auto first = Offer();
  Offer();
  state_->Acknowledge(*first);
  EXPECT_THAT(state_->TakeSettled(), IsEmpty()) << "a first attempt has no record";
  Pass(10 * kSecond);
  Pass(1 * kSecond);
  state_->Acknowledge(*Redeliver());
  EXPECT_EQ(state_->TakeSettled().at(0).sequence, 2u);
}

}  // namespace
}  // namespace mmsmo::embedded
