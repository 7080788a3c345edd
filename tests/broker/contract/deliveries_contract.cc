// Which events a subscription delivers, when, and which attempt it is.

#include <future>
#include <string>
#include <thread>
#include <vector>

#include "tests/broker/contract/contract.h"

namespace mmsmo::broker {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

TEST_P(SubscriptionContract, DeliversFromItsStartAndIsDoneWithWhatIsAcknowledged) {
  AcceptAll({"a", "b"});
  ASSERT_THAT(Create(), IsOk());
  AcceptAll({"c"});
  const Deliveries taken = Take();
  EXPECT_THAT(Ids(taken), ElementsAre("a:1", "b:1", "c:1"));
  EXPECT_EQ(left_, Batch::Left::kNothing);
  EXPECT_EQ(taken[0].ack_deadline_time().seconds(), NowSeconds() + 10);
  ExpectBacklog(3);
  Ack({taken[0], taken[2]});
  ExpectBacklog(1);
  EXPECT_THAT(TakeIds(), IsEmpty());
  Ack({taken[1]});
  ExpectBacklog(0);
  EXPECT_FALSE(Get().has_oldest_unacked_accept_time());
}

TEST_P(SubscriptionContract, GoesOnAfterAReopeningWithExactAttempts) {
  AcceptAll({"a", "b", "c"});
  ASSERT_THAT(Create(), IsOk());
  Deliveries taken = Take(0, 2);
  Ack({taken[0]});
  Reopen();
  EXPECT_THAT(TakeIds(), ElementsAre("b:2", "c:1"));
  Reopen();
  EXPECT_THAT(TakeIds(), ElementsAre("b:3", "c:2"));
  AdvanceSeconds(20);
  TakeIds();
  AdvanceSeconds(20);
  EXPECT_THAT(TakeIds(), ElementsAre("b:4", "c:3"));
  Reopen();
  Ack(Take());
  ExpectBacklog(0);
}

TEST_P(SubscriptionContract, RedeliversWhatIsHandedBackAlsoAfterAReopening) {
  AcceptAll({"a", "b"});
  ASSERT_THAT(Create(), IsOk());
  const Deliveries taken = Take();
  EXPECT_THAT(FailuresOf({taken[0].ack_id()}, {.kind = AckChange::Kind::kRedeliver}), IsEmpty());
  EXPECT_THAT(TakeIds(), ElementsAre("a:2"));
  EXPECT_THAT(FailuresOf({taken[1].ack_id()},
                         {.kind = AckChange::Kind::kRedeliver, .micros = 3600 * kSecond}),
              IsEmpty());
  Reopen();
  EXPECT_THAT(TakeIds(), ElementsAre("a:3")) << "the other is to come in an hour";
  AdvanceSeconds(3600);
  EXPECT_THAT(TakeIds(), testing::Contains("b:2"));
}

TEST_P(SubscriptionContract, PassesOverWhatItFiltersOut) {
  v1::Subscription wanted = Wanted();
  wanted.mutable_filter()->add_keywords("stop");
  ASSERT_THAT(Create(wanted), IsOk());
  AcceptAll({"a", "b"});
  EXPECT_THAT(TakeIds(), IsEmpty());
  EXPECT_EQ(left_, Batch::Left::kNothing);
  ExpectBacklog(0);
  ASSERT_THAT(Append(EventOf("c", 0, "STOP")), IsOk());
  EXPECT_THAT(TakeIds(), ElementsAre("c:1"));
}

TEST_P(SubscriptionContract, OrdersBySender) {
  CONTRACT_NEEDS(order_by_sender);
  v1::Subscription wanted = Wanted();
  wanted.set_order_by_sender(true);
  ASSERT_THAT(Create(wanted), IsOk());
  AcceptAll({"a1", "a2"}, "1");
  AcceptAll({"b1"}, "2");
  const Deliveries first = Take();
  EXPECT_THAT(Ids(first), ElementsAre("a1:1", "b1:1"));
  EXPECT_THAT(TakeIds(1), IsEmpty()) << "on no stream";
  Reopen();
  const Deliveries again = Take();
  EXPECT_THAT(Ids(again), ElementsAre("a1:2", "b1:2"));
  Ack({again[0]});
  EXPECT_THAT(TakeIds(1), ElementsAre("a2:1"));
}

TEST_P(SubscriptionContract, StopsAtTheWindowsOfStreamAndSubscription) {
  v1::Subscription wanted = Wanted();
  wanted.set_max_outstanding_messages(3);
  ASSERT_THAT(Create(wanted), IsOk());
  AcceptAll({"a", "b", "c", "d", "e"});
  Stream(0, {.max_outstanding_messages = 2});
  const Deliveries first = Take();
  EXPECT_THAT(Ids(first), ElementsAre("a:1", "b:1"));
  EXPECT_EQ(left_, Batch::Left::kBlocked);
  std::promise<void> woken;
  Stream().Wait([&] { woken.set_value(); });
  Ack({first[0]});
  woken.get_future().wait();
  EXPECT_THAT(TakeIds(), ElementsAre("c:1"));
}

TEST_P(SubscriptionContract, WakesAStreamWhenALeaseEnds) {
  ASSERT_THAT(Create(), IsOk());
  AcceptAll({"a"});
  EXPECT_THAT(TakeIds(), ElementsAre("a:1"));
  std::promise<void> woken;
  Stream().Wait([&] { woken.set_value(); });
  AdvanceSeconds(10);
  // The lease ends, and then the wait of its backoff.
  Await([&] { return subscriptions().Stats()[0].lease_expired_total == 1; });
  AdvanceSeconds(1);
  woken.get_future().wait();
  EXPECT_THAT(TakeIds(), ElementsAre("a:2"));
}

TEST_P(SubscriptionContract, CountsFailuresOverAReopening) {
  v1::Subscription wanted = Wanted();
  wanted.set_max_attempts(2);
  AcceptAll({"a"});
  ASSERT_THAT(Create(wanted), IsOk());
  for (int i = 0; i < 5; ++i) {
    const Deliveries taken = Take();
    ASSERT_EQ(taken.size(), 1u);
    EXPECT_EQ(taken[0].attempt(), i + 1);
    Reopen();  // is no failure
  }
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(Get().dead_letter_count(), 0);
    const Deliveries taken = Take();
    ASSERT_EQ(taken.size(), 1u);
    EXPECT_THAT(FailuresOf({taken[0].ack_id()}, {.kind = AckChange::Kind::kRetry}), IsEmpty());
    Reopen();
    AdvanceSeconds(1);
  }
  EXPECT_THAT(TakeIds(), IsEmpty());
  EXPECT_EQ(Get().dead_letter_count(), 1);
}

TEST_P(SubscriptionContract, SaysWhatRetentionTookAway) {
  CONTRACT_NEEDS(test_clock);
  settings().retention_age_micros = 100 * kSecond;
  Reopen();
  ASSERT_THAT(Create(), IsOk());
  AcceptAll({"a", "b"});
  Ack(Take(0, 1));
  AdvanceSeconds(200);
  AcceptAll({"c"});
  Await([&] { return Get().expired_count() == 1; });
  EXPECT_THAT(TakeIds(), ElementsAre("c:1"));
  Reopen();
  EXPECT_EQ(Get().expired_count(), 1);
}

TEST_P(SubscriptionContract, Seeks) {
  AcceptAll({"a", "b"});
  ASSERT_THAT(Create(), IsOk());
  const Deliveries before = Take();
  Ack({before[0]});
  ASSERT_THAT(subscriptions().Seek("orders", Earliest()), IsOk());
  const auto failures = FailuresOf({before[1].ack_id()});
  if (beyond().exact_expiry) {
    EXPECT_THAT(failures, ElementsAre(v1::ACK_FAILURE_REASON_EXPIRED));
  }
  EXPECT_THAT(TakeIds(), ElementsAre("a:1", "b:1"));
  Reopen();
  EXPECT_THAT(TakeIds(), ElementsAre("a:2", "b:2"));
  ASSERT_THAT(subscriptions().Seek("orders", After(before[1].event().cursor())), IsOk());
  EXPECT_THAT(TakeIds(), IsEmpty());
  Reopen();
  EXPECT_THAT(TakeIds(), IsEmpty());
  ExpectBacklog(0);
}

TEST_P(SubscriptionContract, ForgetsAtASeekWhatWasAcknowledged) {
  AcceptAll({"a", "b"});
  ASSERT_THAT(Create(), IsOk());
  Ack({Take()[1]});
  ASSERT_THAT(subscriptions().Seek("orders", Earliest()), IsOk());
  Reopen();
  EXPECT_THAT(TakeIds(), ElementsAre("a:1", "b:1"));
}

TEST_P(SubscriptionContract, SeeksToATimeToCome) {
  CONTRACT_NEEDS(test_clock);
  ASSERT_THAT(Create(), IsOk());
  v1::StartPosition later;
  later.mutable_accept_time()->set_seconds(NowSeconds() + 60);
  ASSERT_THAT(subscriptions().Seek("orders", later), IsOk());
  AcceptAll({"a"});
  EXPECT_THAT(TakeIds(), IsEmpty());
  AdvanceSeconds(60);
  AcceptAll({"b"});
  EXPECT_THAT(TakeIds(), ElementsAre("b:1"));
}

}  // namespace
}  // namespace mmsmo::broker
