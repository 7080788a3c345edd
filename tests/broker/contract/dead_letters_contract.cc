// What a subscription gives up on, keeps, and delivers again.

#include <string>
#include <thread>
#include <vector>

#include "tests/broker/contract/contract.h"

namespace mmsmo::broker {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

TEST_P(SubscriptionContract, KeepsWhatItGivesUpOnAndReplaysIt) {
  AcceptAll({"a", "b"});
  ASSERT_THAT(Create(), IsOk());
  const Deliveries taken = Take();
  GiveUp(taken[0], "unreadable");
  Ack({taken[1]});
  Reopen();
  EXPECT_THAT(TakeIds(), IsEmpty());
  EXPECT_EQ(Get().dead_letter_count(), 1);
  auto dead = subscriptions().ListDeadLetters("orders", 10, "");
  ASSERT_THAT(dead, IsOk());
  ASSERT_EQ(dead->dead_letters_size(), 1);
  EXPECT_EQ(dead->dead_letters(0).event().mms_mo().tracking_id(), "a");
  EXPECT_EQ(dead->dead_letters(0).attempts(), 1);
  EXPECT_EQ(dead->dead_letters(0).reason(), "unreadable");

  EXPECT_EQ(*subscriptions().ReplayDeadLetters("orders", {dead->dead_letters(0).event().cursor()}),
            1);
  EXPECT_EQ(*subscriptions().ReplayDeadLetters("orders", {}), 0);
  EXPECT_EQ(Get().dead_letter_count(), 0);
  ExpectBacklog(1);
  EXPECT_THAT(TakeIds(), ElementsAre("a:1"));
  Reopen();
  const Deliveries replayed = Take();
  EXPECT_THAT(Ids(replayed), ElementsAre("a:2"));
  Ack(replayed);
  Reopen();
  EXPECT_THAT(TakeIds(), IsEmpty());
  ExpectBacklog(0);
}

TEST_P(SubscriptionContract, MakesADeadLetterOfWhatFailsTooOften) {
  v1::Subscription wanted = Wanted();
  wanted.set_max_attempts(2);
  AcceptAll({"a", "b"});
  ASSERT_THAT(Create(wanted), IsOk());
  for (int i = 0; i < 2; ++i) {
    const Deliveries taken = Take();
    ASSERT_EQ(taken[0].event().mms_mo().tracking_id(), "a");
    EXPECT_THAT(FailuresOf({taken[0].ack_id()}, {.kind = AckChange::Kind::kRedeliver}), IsEmpty());
    if (i == 0) Ack({taken[1]});
  }
  EXPECT_THAT(TakeIds(), IsEmpty());
  EXPECT_EQ(Get().dead_letter_count(), 1) << "in the commit of the hand-back";
  EXPECT_EQ(subscriptions().ListDeadLetters("orders", 10, "")->dead_letters(0).reason(),
            "max_attempts");
}

TEST_P(SubscriptionContract, ListsDeadLettersByPage) {
  AcceptAll({"a", "b", "c"});
  ASSERT_THAT(Create(), IsOk());
  std::vector<std::string> ack_ids;
  for (const auto& delivery : Take()) ack_ids.push_back(delivery.ack_id());
  EXPECT_THAT(FailuresOf(ack_ids, {.kind = AckChange::Kind::kDeadLetter}), IsEmpty());
  auto page = subscriptions().ListDeadLetters("orders", 2, "");
  ASSERT_EQ(page->dead_letters_size(), 2);
  page = subscriptions().ListDeadLetters("orders", 2, page->next_page_token());
  ASSERT_EQ(page->dead_letters_size(), 1);
  EXPECT_EQ(page->dead_letters(0).event().mms_mo().tracking_id(), "c");
  EXPECT_EQ(page->next_page_token(), "");
  EXPECT_THAT(subscriptions().ListDeadLetters("orders", 2, "x"),
              StatusIs(absl::StatusCode::kInvalidArgument, testing::_));
}

TEST_P(SubscriptionContract, KeepsAReplayOfWhatASeekBroughtBack) {
  AcceptAll({"a"});
  ASSERT_THAT(Create(), IsOk());
  const Deliveries taken = Take();
  GiveUp(taken[0]);
  ASSERT_THAT(subscriptions().Seek("orders", Earliest()), IsOk());
  EXPECT_THAT(TakeIds(), ElementsAre("a:1"));
  EXPECT_EQ(*subscriptions().ReplayDeadLetters("orders", {}), 1);
  ASSERT_THAT(subscriptions().Seek("orders", After(taken[0].event().cursor())), IsOk());
  const Deliveries again = Take();
  EXPECT_THAT(Ids(again), ElementsAre("a:2"));
  Ack(again);
  Reopen();
  EXPECT_THAT(TakeIds(), IsEmpty());
}

TEST_P(SubscriptionContract, CountsADeadLetterOnce) {
  CONTRACT_NEEDS(one_dead_letter);
  AcceptAll({"a"});
  ASSERT_THAT(Create(), IsOk());
  GiveUp(Take()[0]);
  ASSERT_THAT(subscriptions().Seek("orders", Earliest()), IsOk());
  const Deliveries again = Take();
  GiveUp(again[0]);
  EXPECT_EQ(Get().dead_letter_count(), 1);
  const std::string cursor = again[0].event().cursor();
  EXPECT_EQ(*subscriptions().ReplayDeadLetters("orders", {cursor, cursor}), 1);
  EXPECT_EQ(Get().dead_letter_count(), 0);
}

TEST_P(SubscriptionContract, GivesUpOnAReplayAgain) {
  AcceptAll({"a"});
  ASSERT_THAT(Create(), IsOk());
  for (const char* reason : {"first", "second"}) {
    const Deliveries taken = Take();
    EXPECT_THAT(Ids(taken), ElementsAre("a:1"));
    GiveUp(taken[0], reason);
    auto dead = subscriptions().ListDeadLetters("orders", 10, "");
    ASSERT_THAT(dead, IsOk());
    ASSERT_EQ(dead->dead_letters_size(), 1);
    EXPECT_EQ(dead->dead_letters(0).reason(), reason);
    EXPECT_EQ(dead->dead_letters(0).event().mms_mo().tracking_id(), "a");
    EXPECT_EQ(*subscriptions().ReplayDeadLetters("orders", {}), 1);
    Reopen();
  }
  ExpectBacklog(1);
  EXPECT_EQ(Get().dead_letter_count(), 0);
}

TEST_P(SubscriptionContract, RemovesADeadLetterThatIsAcknowledgedLate) {
  AcceptAll({"a", "b"});
  ASSERT_THAT(Create(), IsOk());
  const Deliveries taken = Take();
  const AckChange give_up{.kind = AckChange::Kind::kDeadLetter, .reason = "no"};
  EXPECT_THAT(FailuresOf({taken[0].ack_id(), taken[1].ack_id()}, give_up), IsEmpty());
  EXPECT_EQ(Get().dead_letter_count(), 2);
  Ack({taken[0]});
  Ack({taken[0]});  // again is as good
  EXPECT_EQ(Get().dead_letter_count(), 1);
  Reopen();
  EXPECT_EQ(Get().dead_letter_count(), 1);
  const auto left = subscriptions().ListDeadLetters("orders", 10, "");
  EXPECT_EQ(left->dead_letters(0).event().mms_mo().tracking_id(), "b");
}

TEST_P(SubscriptionContract, DiscardsDeadLetters) {
  AcceptAll({"a", "b", "c"});
  ASSERT_THAT(Create(), IsOk());
  std::vector<std::string> ack_ids;
  const Deliveries taken = Take();
  for (const auto& delivery : taken) ack_ids.push_back(delivery.ack_id());
  EXPECT_THAT(FailuresOf(ack_ids, {.kind = AckChange::Kind::kDeadLetter}), IsEmpty());
  const std::string cursor = taken[1].event().cursor();
  EXPECT_EQ(*subscriptions().DiscardDeadLetters("orders", {cursor, cursor}), 1);
  EXPECT_EQ(Get().dead_letter_count(), 2);
  EXPECT_EQ(*subscriptions().DiscardDeadLetters("orders", {}), 2);
  Reopen();
  EXPECT_EQ(Get().dead_letter_count(), 0);
  EXPECT_THAT(TakeIds(), IsEmpty());
}

TEST_P(SubscriptionContract, KeepsPendingWhatTheBudgetOfDeadLettersHasNoRoomFor) {
  settings().max_dead_letters = 1;
  Reopen();
  v1::Subscription wanted = Wanted();
  wanted.set_max_outstanding_messages(3);
  AcceptAll({"a", "b", "c", "d"});
  ASSERT_THAT(Create(wanted), IsOk());
  const Deliveries taken = Take();
  ASSERT_THAT(Ids(taken), ElementsAre("a:1", "b:1", "c:1"));
  const AckChange give_up{.kind = AckChange::Kind::kDeadLetter, .reason = "no"};
  EXPECT_THAT(FailuresOf({taken[0].ack_id()}, give_up), IsEmpty());
  EXPECT_THAT(FailuresOf({taken[1].ack_id()}, give_up),
              ElementsAre(v1::ACK_FAILURE_REASON_TRANSIENT));
  EXPECT_EQ(*subscriptions().DiscardDeadLetters("orders", {}), 1);
  EXPECT_THAT(FailuresOf({taken[1].ack_id()}, give_up), IsEmpty());
  EXPECT_EQ(Get().dead_letter_count(), 1);
}

TEST_P(SubscriptionContract, CountsWhatFailedForGoodAgainstTheCeilingWhereItCannotBeADeadLetter) {
  settings().max_dead_letters = 1;
  Reopen();
  v1::Subscription wanted = Wanted();
  wanted.set_max_attempts(1);
  wanted.set_max_outstanding_messages(2);
  AcceptAll({"a", "b", "c", "d"});
  ASSERT_THAT(Create(wanted), IsOk());
  const Deliveries taken = Take();
  EXPECT_THAT(
      FailuresOf({taken[0].ack_id(), taken[1].ack_id()}, {.kind = AckChange::Kind::kRedeliver}),
      IsEmpty());
  EXPECT_EQ(Get().dead_letter_count(), 1);
  EXPECT_THAT(TakeIds(), ElementsAre("c:1")) << "b waits, and takes the other's place";
  ExpectBacklog(3);
  EXPECT_EQ(*subscriptions().DiscardDeadLetters("orders", {}), 1);
  Await([&] { return Get().dead_letter_count() == 1; });
  EXPECT_THAT(TakeIds(), ElementsAre("d:1"));
}

}  // namespace
}  // namespace mmsmo::broker
