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
constexpr StreamId kStream = 1, kOther = 2;

SubscriptionPolicy Policy() {
  return {.ack_deadline = 10 * kSecond,
          .min_backoff = 1 * kSecond,
          .max_backoff = 4 * kSecond,
          .max_outstanding = 100,
          .resume_window = 2 * kSecond};
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

  // Deliveries go out at once, each in a frame of its own.
  std::optional<Lease> Send(std::optional<Lease> lease) {
    if (lease) {
      EXPECT_THAT(state_->Send(*lease, ++frames_, now_), Optional(now_ + 10 * kSecond));
    }
    return lease;
  }
  std::optional<Lease> Offer(uint64_t sender = 0, StreamId stream = kStream,
                             uint32_t attempts = 0) {
    return Send(state_->Offer(
        {.sequence = state_->next(), .sender = sender, .bytes = 100, .attempts = attempts}, stream,
        now_));
  }
  std::optional<Lease> Redeliver(StreamId stream = kStream) {
    return Send(state_->Redeliver(stream));
  }
  std::vector<SubscriptionState::GivenUp> TakeGivenUp() {
    std::vector<SubscriptionState::GivenUp> all;
    while (state_->FirstGivenUp() != nullptr) all.push_back(state_->TakeGivenUp());
    return all;
  }
  // Without a successor.
  void EndStream(StreamId stream) {
    state_->EndStream(stream, now_);
    Pass(2 * kSecond);
  }
  void Pass(int64_t micros) {
    now_ += micros;
    state_->OnTime(now_);
  }

  std::optional<SubscriptionState> state_;
  uint32_t frames_ = 0;
  int64_t now_ = 1'000 * kSecond;
};

TEST_F(SubscriptionStateTest, DeliversEachEventOnceWhileItIsLeased) {
  Start(Policy());
  const auto first = Offer();
  EXPECT_THAT(first, Optional(IsLeaseOf(1, 1)));
  EXPECT_THAT(Offer(), Optional(IsLeaseOf(2, 1)));
  EXPECT_EQ(Redeliver(), std::nullopt);
  EXPECT_EQ(state_->leased(), 2u);
  EXPECT_EQ(state_->NextDue(), now_ + 10 * kSecond);
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

TEST_F(SubscriptionStateTest, RetriesNowOrLater) {
  Start(Policy());
  const auto first = Offer(), second = Offer();
  EXPECT_EQ(state_->Retry(*first, 0, now_), Effect::kDone);
  EXPECT_EQ(state_->Retry(*second, 5 * kSecond, now_), Effect::kDone);
  EXPECT_THAT(Redeliver(), Optional(IsLeaseOf(1, 2)));
  EXPECT_EQ(Redeliver(), std::nullopt);
  Pass(5 * kSecond);
  EXPECT_THAT(Redeliver(), Optional(IsLeaseOf(2, 2)));
}

TEST_F(SubscriptionStateTest, RetriesAfterTheBackoffOfItsFailures) {
  Start(Policy());
  EXPECT_EQ(state_->Retry(*Offer(), std::nullopt, now_), Effect::kDone);
  EXPECT_EQ(state_->NextDue(), now_ + 1 * kSecond);
  Pass(1 * kSecond);
  EXPECT_EQ(state_->Retry(*Redeliver(), std::nullopt, now_), Effect::kDone);
  EXPECT_EQ(state_->NextDue(), now_ + 2 * kSecond);
}

TEST_F(SubscriptionStateTest, CountsFailuresAndNotDeliveries) {
  SubscriptionPolicy policy = Policy();
  policy.max_attempts = 2;
  Start(policy);
  auto lease = Offer();
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(state_->Release(*lease), Effect::kDone) << "it was not begun";
    EXPECT_EQ(state_->Release(*lease), Effect::kDone) << "said again";
    lease = Redeliver();
    ASSERT_THAT(lease, Optional(IsLeaseOf(1, 2 + i)));
  }
  for (int again = 0; again < 3; ++again) {
    EXPECT_EQ(state_->Retry(*lease, 0, now_), Effect::kDone) << "said again";
  }
  lease = Redeliver();
  ASSERT_TRUE(lease) << "that was one failure";
  EXPECT_EQ(state_->Retry(*lease, 0, now_), Effect::kDone);
  EXPECT_EQ(TakeGivenUp().size(), 1u);
}

TEST_F(SubscriptionStateTest, GivesUpOnceWhatWasAcknowledgedAndGivenUpAgain) {
  Start(Policy());
  const auto lease = Offer();
  EXPECT_EQ(state_->GiveUp(*lease, "no"), Effect::kDone);
  EXPECT_EQ(state_->Acknowledge(*lease), Effect::kDone);
  state_->Replay({.sequence = 1, .bytes = 1}, now_);
  EXPECT_EQ(state_->GiveUp(*Redeliver(), "no again"), Effect::kDone);
  EXPECT_EQ(TakeGivenUp().size(), 1u);
}

TEST_F(SubscriptionStateTest, TakesAReleaseForWhatWasTakenForAFailure) {
  SubscriptionPolicy policy = Policy();
  policy.max_attempts = 2;
  Start(policy);
  const auto lease = Offer();
  Pass(10 * kSecond);
  EXPECT_EQ(state_->Release(*lease), Effect::kDone);
  const auto second = Redeliver();
  ASSERT_THAT(second, Optional(IsLeaseOf(1, 2))) << "at once";
  EXPECT_EQ(state_->Retry(*second, 0, now_), Effect::kDone);
  EXPECT_THAT(TakeGivenUp(), IsEmpty());
}

TEST_F(SubscriptionStateTest, TakesTheNewestAcknowledgementUntilItIsHandedOutAgain) {
  Start(Policy());
  const auto first = Offer(), second = Offer();
  Pass(10 * kSecond);
  EXPECT_EQ(state_->Acknowledge(*first), Effect::kDone) << "while it waits for its backoff";
  Pass(1 * kSecond);
  EXPECT_EQ(state_->Acknowledge(*second), Effect::kDone) << "while it is ready";
  EXPECT_EQ(Redeliver(), std::nullopt);
}

TEST_F(SubscriptionStateTest, TakesAnAcknowledgementWhileTheNextDeliveryIsMadeReady) {
  Start(Policy());
  const auto first = Offer();
  Pass(10 * kSecond);
  Pass(1 * kSecond);
  const auto second = state_->Redeliver(kStream);
  ASSERT_TRUE(second);
  EXPECT_EQ(state_->Acknowledge(*first), Effect::kDone);
  EXPECT_EQ(state_->Send(*second, 1, now_), std::nullopt);
}

TEST_F(SubscriptionStateTest, CountsNoTimeBeforeADeliveryIsSent) {
  Start(Policy());
  const auto lease = state_->Offer({.sequence = 1, .bytes = 100}, kStream, now_);
  Pass(100 * kSecond);
  EXPECT_THAT(state_->Send(*lease, 1, now_), Optional(now_ + 10 * kSecond));
}

TEST_F(SubscriptionStateTest, KeepsTheDeliveriesOfAStreamThatEndsForItsSuccessor) {
  Start(Policy());
  state_->AddStream(kOther, {.messages = 100, .bytes = 1 << 20});
  const auto first = Offer(), second = Offer(), third = Offer();  // in frames 1 to 3
  state_->EndStream(kStream, now_);
  EXPECT_EQ(Redeliver(kOther), std::nullopt);
  EXPECT_EQ(state_->Acknowledge(*first), Effect::kDone);
  Pass(1 * kSecond);
  constexpr StreamId kSuccessor = 3;
  state_->AddStream(kSuccessor, {.messages = 100, .bytes = 1 << 20});
  EXPECT_TRUE(state_->Resume(kStream, kSuccessor, 2, now_));
  EXPECT_FALSE(state_->Resume(kStream, kSuccessor, 2, now_));
  EXPECT_EQ(state_->leased(kSuccessor), 2);
  const auto cut = state_->RedeliverCut(kSuccessor);
  ASSERT_THAT(cut, Optional(IsLeaseOf(3, 1)));
  EXPECT_EQ(cut->number, third->number) << "under the same ack id";
  EXPECT_TRUE(state_->Send(*cut, 2, now_));
  EXPECT_EQ(state_->RedeliverCut(kSuccessor), std::nullopt);
  Pass(5 * kSecond);
  EXPECT_EQ(Redeliver(kOther), std::nullopt) << "it is the successor's";
  EXPECT_EQ(state_->Acknowledge(*second), Effect::kDone);
  EXPECT_EQ(state_->Acknowledge(*third), Effect::kDone);
  EXPECT_EQ(state_->totals().delivered, 3u);
}

// A successor that reads no further holds nothing back for longer than a lease.
TEST_F(SubscriptionStateTest, GivesWhatWasCutOffToOthersWhenItsLeaseEnds) {
  Start(Policy());
  state_->AddStream(kOther, {.messages = 100, .bytes = 1 << 20});
  Offer();
  Offer();
  constexpr StreamId kSuccessor = 3;
  state_->AddStream(kSuccessor, {.messages = 100, .bytes = 1 << 20});
  ASSERT_TRUE(state_->Resume(kStream, kSuccessor, 1, now_));
  Pass(10 * kSecond);
  Pass(1 * kSecond);
  EXPECT_THAT(Redeliver(kOther), Optional(IsLeaseOf(1, 2))) << "a failure";
  EXPECT_THAT(Redeliver(kOther), Optional(IsLeaseOf(2, 2)));
  EXPECT_EQ(state_->totals().lease_expired, 1u) << "what was cut off is nobody's failure";
  EXPECT_EQ(state_->RedeliverCut(kSuccessor), std::nullopt);
}

// What is said of an attempt while the next one is not sent yet is said of that attempt.
class UnsentLeaseTest : public SubscriptionStateTest {
 protected:
  // The first attempt has failed, the second waits for its record.
  void StartWithBoth(int max_attempts) {
    SubscriptionPolicy policy = Policy();
    policy.max_attempts = max_attempts;
    Start(policy);
    first_ = *Offer();
    Pass(10 * kSecond);
    Pass(100 * kSecond);
    second_ = *state_->Redeliver(kStream);
    ASSERT_EQ(second_.attempt, 2u);
  }
  Lease first_, second_;
};

TEST_F(UnsentLeaseTest, IsTakenBackByARetryThatCountsOnce) {
  StartWithBoth(2);
  EXPECT_EQ(state_->Retry(first_, std::nullopt, now_), Effect::kDone);
  EXPECT_THAT(TakeGivenUp(), IsEmpty());
  EXPECT_EQ(state_->Send(second_, 2, now_), std::nullopt);
  EXPECT_THAT(Redeliver(), Optional(IsLeaseOf(1, 2)));
}

TEST_F(UnsentLeaseTest, IsTakenBackByARelease) {
  StartWithBoth(2);
  EXPECT_EQ(state_->Release(first_), Effect::kDone);
  EXPECT_EQ(state_->Acknowledge(first_), Effect::kDone) << "nothing was handed out since";
}

TEST_F(UnsentLeaseTest, IsTakenBackByWhoGivesUp) {
  StartWithBoth(5);
  EXPECT_EQ(state_->GiveUp(first_, "unreadable"), Effect::kDone);
  const auto given_up = TakeGivenUp();
  ASSERT_EQ(given_up.size(), 1u);
  EXPECT_EQ(given_up[0].attempts, 1u);
}

TEST_F(UnsentLeaseTest, IsNotExtendedForTheOneBefore) {
  StartWithBoth(5);
  EXPECT_EQ(state_->Extend(first_, now_ + kSecond), Effect::kExpired);
  EXPECT_TRUE(state_->Send(second_, 2, now_));
  EXPECT_EQ(state_->Acknowledge(first_), Effect::kExpired) << "another was handed out";
}

// One that was sent and cut off is no new one: the attempt before it is over.
TEST_F(UnsentLeaseTest, IsNotOneThatWasCutOff) {
  StartWithBoth(5);
  EXPECT_TRUE(state_->Send(second_, 2, now_));
  state_->AddStream(kOther, {.messages = 100, .bytes = 1 << 20});
  ASSERT_TRUE(state_->Resume(kStream, kOther, 1, now_));
  EXPECT_EQ(state_->Acknowledge(first_), Effect::kExpired);
  EXPECT_EQ(state_->Acknowledge(second_), Effect::kDone);
}

TEST_F(SubscriptionStateTest, TakesOverFromAStreamThatStillLives) {
  Start(Policy());
  const auto first = Offer();
  state_->AddStream(kOther, {.messages = 100, .bytes = 1 << 20});
  EXPECT_TRUE(state_->Resume(kStream, kOther, 1, now_));
  EXPECT_EQ(state_->streams(), 1);
  EXPECT_EQ(state_->Acknowledge(*first), Effect::kDone);
}

TEST_F(SubscriptionStateTest, GivesTheDeliveriesOfAStreamThatEndsToOthersAfterAWhile) {
  Start(Policy());
  state_->AddStream(kOther, {.messages = 100, .bytes = 1 << 20});
  const auto first = Offer();
  Offer();
  const auto other = Offer(0, kOther);
  EXPECT_EQ(state_->Extend(*first, now_ + 60 * kSecond), Effect::kDone);
  EndStream(kStream);
  EXPECT_EQ(state_->Acknowledge(*other), Effect::kDone) << "the other stream keeps its own";
  EXPECT_THAT(Redeliver(kOther), Optional(IsLeaseOf(1, 2))) << "extended or not";
  EXPECT_THAT(Redeliver(kOther), std::nullopt) << "half of a group of two: alone";
  EXPECT_EQ(state_->totals().lease_expired, 0u);
}

TEST_F(SubscriptionStateTest, TakesALeaseThatEndsAfterItsStreamForNoFailure) {
  SubscriptionPolicy policy = Policy();
  policy.max_attempts = 1;
  Start(policy);
  Offer();
  Offer();
  Pass(9 * kSecond);
  state_->EndStream(kStream, now_);
  state_->AddStream(kOther, {.messages = 100, .bytes = 1 << 20});
  Pass(1 * kSecond);
  EXPECT_THAT(Redeliver(kOther), Optional(IsLeaseOf(1, 2)));
  EXPECT_THAT(TakeGivenUp(), IsEmpty());
}

TEST_F(SubscriptionStateTest, FindsTheEventThatKillsItsConsumers) {
  constexpr int kEvents = 2000, kPoison = 700;
  SubscriptionPolicy policy = Policy();
  policy.max_attempts = 5;
  policy.max_outstanding = 10'000;
  state_.emplace(policy, AckedSet(0), 0);
  StreamId stream = 0;
  int ends = 0;
  std::vector<SubscriptionState::GivenUp> given_up;
  while (given_up.empty() && ends < 100) {
    state_->AddStream(++stream, {.messages = 2000, .bytes = 1 << 30});
    // It takes all that it may have, and then handles that in its order until it dies.
    bool dead = false;
    while (!dead) {
      std::vector<Lease> hand;
      while (auto lease = Redeliver(stream)) hand.push_back(*lease);
      while (state_->next() <= kEvents && state_->MayTake(stream)) {
        hand.push_back(*Offer(0, stream));
      }
      if (hand.empty()) Pass(1 * kSecond);
      for (const Lease& lease : hand) {
        dead = dead || lease.sequence == kPoison;
        if (!dead) {
          ASSERT_EQ(state_->Acknowledge(lease), Effect::kDone);
        }
      }
    }
    EndStream(stream);
    ++ends;
    given_up = TakeGivenUp();
  }
  ASSERT_EQ(given_up.size(), 1u);
  EXPECT_EQ(given_up[0].sequence, uint64_t{kPoison});
  EXPECT_LE(ends, 12) << "2000, 500, 125, 31, 7, and five times alone";
  state_->Settle(kPoison);
  // The others are handled.
  state_->AddStream(++stream, {.messages = 2000, .bytes = 1 << 30});
  while (state_->acked().floor() < kEvents) {
    auto lease = Redeliver(stream);
    if (!lease) lease = Offer(0, stream);
    ASSERT_TRUE(lease);
    ASSERT_EQ(state_->Acknowledge(*lease), Effect::kDone);
  }
}

TEST_F(SubscriptionStateTest, LetsOtherStreamsGoOnWhileOneIsolates) {
  SubscriptionPolicy policy = Policy();
  policy.max_outstanding = 10'000;
  Start(policy);
  Offer();
  Offer();
  EndStream(kStream);  // both are suspects, alone from now on
  constexpr StreamId kIsolating = 3, kFree = 4;
  state_->AddStream(kIsolating, {.messages = 100, .bytes = 1 << 20});
  state_->AddStream(kFree, {.messages = 100, .bytes = 1 << 20});
  EXPECT_GT(state_->Room(kIsolating, 10), 0);
  const auto suspect = Redeliver(kIsolating);
  ASSERT_THAT(suspect, Optional(IsLeaseOf(1, 2)));
  EXPECT_EQ(state_->Room(kIsolating, 10), 0) << "alone";
  EXPECT_GT(state_->Room(kFree, 10), 0);
  EXPECT_THAT(Offer(0, kFree), Optional(IsLeaseOf(3, 1)));
  EXPECT_EQ(Redeliver(kFree), std::nullopt) << "not beside another";
  EXPECT_GT(state_->Room(kFree, 10), 0) << "it goes on with new ones";
  EXPECT_EQ(state_->Acknowledge(*suspect), Effect::kDone);
  EXPECT_THAT(Redeliver(kIsolating), Optional(IsLeaseOf(2, 2)));
}

// One that stands still must not keep a suspect from all others.
TEST_F(SubscriptionStateTest, LetsAnotherStreamIsolateWhenOneTakesTooLong) {
  Start(Policy());
  Offer();
  Offer();
  EndStream(kStream);
  constexpr StreamId kStalled = 3, kBusy = 4;
  state_->AddStream(kStalled, {.messages = 100, .bytes = 1 << 20});
  state_->AddStream(kBusy, {.messages = 100, .bytes = 1 << 20});
  const auto its = Offer(0, kStalled), busy = Offer(0, kBusy);
  for (const auto& lease : {its, busy}) {
    EXPECT_EQ(state_->Extend(*lease, now_ + 60 * kSecond), Effect::kDone);
  }
  EXPECT_EQ(state_->Room(kStalled, 10), 0) << "it is to have less in hand";
  EXPECT_GT(state_->Room(kBusy, 10), 0);
  Pass(10 * kSecond);
  EXPECT_EQ(state_->Room(kBusy, 10), 0) << "its turn";
  EXPECT_GT(state_->Room(kStalled, 10), 0);
  EXPECT_EQ(state_->Acknowledge(*busy), Effect::kDone);
  EXPECT_THAT(Redeliver(kBusy), Optional(IsLeaseOf(1, 2)));
}

TEST_F(SubscriptionStateTest, RemembersNoEndsOverARestart) {
  SubscriptionPolicy policy = Policy();
  policy.max_attempts = 1;
  Start(policy);
  Offer();
  Restart(policy);
  EXPECT_THAT(Offer(0, kStream, 1), Optional(IsLeaseOf(1, 2))) << "it did not fail";
  EXPECT_THAT(TakeGivenUp(), IsEmpty());
}

TEST_F(SubscriptionStateTest, GivesUpAfterTheLastAttempt) {
  SubscriptionPolicy policy = Policy();
  policy.max_attempts = 2;
  Start(policy);
  Offer();
  Pass(10 * kSecond);
  Pass(1 * kSecond);
  ASSERT_THAT(Redeliver(), Optional(IsLeaseOf(1, 2)));
  EXPECT_EQ(state_->given_up(), 0u);
  Pass(10 * kSecond);
  const auto given_up = TakeGivenUp();
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
  EXPECT_EQ(state_->Room(kStream, 1000), 99) << "it counts against the ceiling";
  EXPECT_EQ(TakeGivenUp().at(0).reason, "unreadable");
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
  state_->Retry(*a1, 0, now_);
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

TEST_F(SubscriptionStateTest, GivesUpAtTheRestartWhatHadItsLastFailure) {
  SubscriptionPolicy policy = Policy();
  policy.max_attempts = 1;
  Start(policy);
  Offer();
  Restart(policy);
  EXPECT_EQ(
      state_->Offer({.sequence = 1, .bytes = 100, .attempts = 1, .failures = 1}, kStream, now_),
      std::nullopt);
  EXPECT_EQ(TakeGivenUp().size(), 1u);
}

TEST_F(SubscriptionStateTest, TakesAnAcknowledgementFromBeforeTheRestartOfWhatWasOffered) {
  Start(Policy());
  const auto lease = Offer();
  Restart(Policy());
  EXPECT_EQ(
      state_->Offer(
          {.sequence = 1, .bytes = 100, .attempts = 1, .failures = 1, .retry_at = now_ + kSecond},
          kStream, now_),
      std::nullopt);
  EXPECT_EQ(state_->Acknowledge(*lease), Effect::kDone) << "it was not handed out again";
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
  Offer();
  Offer();
  state_->Seek(0, now_);
  EXPECT_EQ(state_->leased(), 0u);
  EXPECT_EQ(state_->next(), 1u);
  EXPECT_THAT(Offer(), Optional(IsLeaseOf(1, 1))) << "as if it had never been delivered";
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
  TakeGivenUp();
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
  TakeGivenUp();
  state_->Settle(1);
  state_->Seek(0, now_);
  state_->GiveUp(*Offer(), "no");
  state_->Replay({.sequence = 1, .bytes = 100}, now_);
  const auto given_up = TakeGivenUp();
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
