// Named subscriptions of the embedded engine, with its store beneath.

#include "gateway/embedded/subscriptions/subscriptions.h"

#include <atomic>
#include <future>
#include <map>
#include <string>
#include <vector>

#include "gateway/broker/subscription_settings.h"
#include "tests/embedded/engine.h"

namespace mmsmo::embedded {
namespace {

using broker::AckChange;
using broker::Batch;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr int64_t kSecond = 1'000'000;

class SubscriptionsTest : public testing::Test, protected Engine {
 protected:
  using Deliveries = std::vector<v1::Delivery>;

  SubscriptionsTest() { Open(); }
  ~SubscriptionsTest() override { streams_.clear(); }

  broker::Subscriptions& subscriptions() { return broker().subscriptions(); }

  static v1::Subscription Wanted(const std::string& name = "orders") {
    v1::Subscription wanted;
    wanted.set_name(name);
    *wanted.mutable_start_position() = Earliest();
    wanted.mutable_ack_deadline()->set_seconds(10);
    wanted.mutable_retry_policy()->mutable_minimum_backoff()->set_seconds(1);
    return wanted;
  }
  absl::StatusOr<v1::Subscription> Create(const v1::Subscription& wanted = Wanted()) {
    auto complete = broker::CompleteSubscription(wanted);
    if (!complete.ok()) return complete.status();
    return subscriptions().Create(*complete);
  }
  void Accept(const std::vector<std::string>& ids, const std::string& sender = "14085550100") {
    for (const std::string& id : ids) {
      broker::Entry entry = EventOf(id);
      v1::Event event;
      event.ParseFromString(entry.event);
      event.mutable_mms_mo()->mutable_sender()->set_value(sender);
      entry.event = event.SerializeAsString();
      ASSERT_THAT(Append(std::move(entry)), IsOk());
    }
  }
  broker::Feed& Stream(int number = 0, const broker::StreamWish& wish = {}) {
    auto& stream = streams_[number];
    if (!stream) {
      auto opened = OpenStreamOf(subscriptions(), "orders", wish);
      EXPECT_THAT(opened, IsOk());
      stream = std::move(opened->feed);
    }
    return *stream;
  }
  // Without a successor: its deliveries are given to others.
  void EndStream(int number = 0) {
    streams_.erase(number);
    clock().AdvanceSeconds(2);
  }
  void ReopenAll() {
    streams_.clear();
    Reopen();
  }

  // What the stream gets now.
  Deliveries Take(int number = 0, int max = 100) {
    auto batch = TakeReady(Stream(number), max);
    EXPECT_THAT(batch, IsOk());
    if (!batch.ok()) return {};
    v1::DeliveryBatch deliveries;
    EXPECT_TRUE(deliveries.ParseFromString(batch->deliveries));
    EXPECT_EQ(batch->count, deliveries.deliveries_size());
    left_ = batch->left;
    return {deliveries.deliveries().begin(), deliveries.deliveries().end()};
  }
  static std::vector<std::string> Ids(const Deliveries& deliveries) {
    std::vector<std::string> ids;
    for (const auto& delivery : deliveries) {
      ids.push_back(delivery.event().mms_mo().tracking_id() + ":" +
                    std::to_string(delivery.attempt()));
    }
    return ids;
  }
  std::vector<std::string> TakeIds(int number = 0) { return Ids(Take(number)); }

  absl::StatusOr<std::vector<v1::AckFailure>> Change(const std::vector<std::string>& ack_ids,
                                                     AckChange change) {
    std::promise<absl::StatusOr<std::vector<v1::AckFailure>>> promise;
    subscriptions().Change("orders", ack_ids, std::move(change),
                           [&promise](auto failures) { promise.set_value(std::move(failures)); });
    return promise.get_future().get();
  }
  std::vector<v1::AckFailureReason> FailuresOf(const std::vector<std::string>& ack_ids,
                                               AckChange change = {}) {
    auto failures = Change(ack_ids, std::move(change));
    EXPECT_THAT(failures, IsOk());
    std::vector<v1::AckFailureReason> reasons;
    for (const auto& failure : *failures) reasons.push_back(failure.reason());
    return reasons;
  }
  void Ack(const Deliveries& deliveries) {
    std::vector<std::string> ids;
    for (const auto& delivery : deliveries) ids.push_back(delivery.ack_id());
    EXPECT_THAT(FailuresOf(ids), IsEmpty());
  }
  v1::Subscription Get() {
    auto subscription = subscriptions().Get("orders");
    EXPECT_THAT(subscription, IsOk());
    return *subscription;
  }

  std::map<int, std::unique_ptr<broker::Feed>> streams_;
  Batch::Left left_ = Batch::Left::kMore;
};

TEST_F(SubscriptionsTest, DeliversFromItsStartAndIsDoneWithWhatIsAcknowledged) {
  Accept({"a", "b"});
  ASSERT_THAT(Create(), IsOk());
  Accept({"c"});
  const Deliveries taken = Take();
  EXPECT_THAT(Ids(taken), ElementsAre("a:1", "b:1", "c:1"));
  EXPECT_EQ(left_, Batch::Left::kNothing);
  EXPECT_EQ(taken[0].ack_deadline_time().seconds(), clock().NowMicros() / kSecond + 10);
  EXPECT_EQ(Get().backlog_count(), 3);
  Ack({taken[0], taken[2]});
  EXPECT_EQ(Get().backlog_count(), 1);
  EXPECT_THAT(TakeIds(), IsEmpty());
  Ack({taken[1]});
  EXPECT_EQ(Get().backlog_count(), 0);
  EXPECT_FALSE(Get().has_oldest_unacked_accept_time());
}

TEST_F(SubscriptionsTest, GoesOnAfterAReopeningWithExactAttempts) {
  Accept({"a", "b", "c"});
  ASSERT_THAT(Create(), IsOk());
  Deliveries taken = Take(0, 2);
  Ack({taken[0]});
  ReopenAll();
  EXPECT_THAT(TakeIds(), ElementsAre("b:2", "c:1"));
  ReopenAll();
  EXPECT_THAT(TakeIds(), ElementsAre("b:3", "c:2"));
  clock().AdvanceSeconds(20);
  TakeIds();
  clock().AdvanceSeconds(20);
  EXPECT_THAT(TakeIds(), ElementsAre("b:4", "c:3"));
  ReopenAll();
  Ack(Take());
  EXPECT_EQ(Get().backlog_count(), 0);
}

TEST_F(SubscriptionsTest, TakesAnAcknowledgementFromBeforeAReopening) {
  Accept({"a", "b"});
  ASSERT_THAT(Create(), IsOk());
  const Deliveries taken = Take();
  ReopenAll();
  Ack({taken[1]});
  EXPECT_THAT(TakeIds(), ElementsAre("a:2"));
  EXPECT_THAT(FailuresOf({taken[0].ack_id()}), ElementsAre(v1::ACK_FAILURE_REASON_EXPIRED));
}

TEST_F(SubscriptionsTest, RefusesForgedAndForeignAckIds) {
  Accept({"a"});
  ASSERT_THAT(Create(), IsOk());
  ASSERT_THAT(Create(Wanted("others")), IsOk());
  const Deliveries taken = Take();
  std::string forged = taken[0].ack_id();
  forged[10] = forged[10] == 'A' ? 'B' : 'A';
  EXPECT_THAT(FailuresOf({forged, "", "x", EncodeAckId({.subscription = 1, .sequence = 1})}),
              ElementsAre(v1::ACK_FAILURE_REASON_INVALID, v1::ACK_FAILURE_REASON_INVALID,
                          v1::ACK_FAILURE_REASON_INVALID, v1::ACK_FAILURE_REASON_INVALID));
  Ack(taken);
  Ack(taken);  // again is as good
}

TEST_F(SubscriptionsTest, RedeliversWhatIsHandedBackAlsoAfterAReopening) {
  Accept({"a", "b"});
  ASSERT_THAT(Create(), IsOk());
  const Deliveries taken = Take();
  EXPECT_THAT(FailuresOf({taken[0].ack_id()}, {.kind = AckChange::Kind::kRedeliver}), IsEmpty());
  EXPECT_THAT(TakeIds(), ElementsAre("a:2"));
  EXPECT_THAT(FailuresOf({taken[1].ack_id()},
                         {.kind = AckChange::Kind::kRedeliver, .micros = 3600 * kSecond}),
              IsEmpty());
  ReopenAll();
  EXPECT_THAT(TakeIds(), ElementsAre("a:3")) << "the other is to come in an hour";
  clock().AdvanceSeconds(3600);
  EXPECT_THAT(TakeIds(), testing::Contains("b:2"));
}

TEST_F(SubscriptionsTest, WaitsNoLongerWhenTheClockWasSetBack) {
  Accept({"a"});
  ASSERT_THAT(Create(), IsOk());
  EXPECT_THAT(FailuresOf({Take()[0].ack_id()},
                         {.kind = AckChange::Kind::kRedeliver, .micros = 60 * kSecond}),
              IsEmpty());
  clock().AdvanceSeconds(-86'400);
  ReopenAll();
  EXPECT_THAT(TakeIds(), IsEmpty());
  clock().AdvanceSeconds(60);
  EXPECT_THAT(TakeIds(), ElementsAre("a:2"));
}

TEST_F(SubscriptionsTest, KeepsWhatItGivesUpOnAndReplaysIt) {
  Accept({"a", "b"});
  ASSERT_THAT(Create(), IsOk());
  const Deliveries taken = Take();
  EXPECT_THAT(FailuresOf({taken[0].ack_id()},
                         {.kind = AckChange::Kind::kDeadLetter, .reason = "unreadable"}),
              IsEmpty());
  Ack({taken[1]});
  ReopenAll();
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
  EXPECT_EQ(Get().backlog_count(), 1);
  EXPECT_THAT(TakeIds(), ElementsAre("a:1"));
  ReopenAll();
  const Deliveries replayed = Take();
  EXPECT_THAT(Ids(replayed), ElementsAre("a:2"));
  Ack(replayed);
  ReopenAll();
  EXPECT_THAT(TakeIds(), IsEmpty());
  EXPECT_EQ(Get().backlog_count(), 0);
}

TEST_F(SubscriptionsTest, MakesADeadLetterOfWhatFailsTooOften) {
  v1::Subscription wanted = Wanted();
  wanted.set_max_attempts(2);
  Accept({"a", "b"});
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

TEST_F(SubscriptionsTest, ListsDeadLettersByPage) {
  Accept({"a", "b", "c"});
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
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("ListDeadLetters")));
}

TEST_F(SubscriptionsTest, PassesOverWhatItFiltersOut) {
  v1::Subscription wanted = Wanted();
  wanted.mutable_filter()->add_keywords("stop");
  ASSERT_THAT(Create(wanted), IsOk());
  Accept({"a", "b"});
  EXPECT_THAT(TakeIds(), IsEmpty());
  EXPECT_EQ(left_, Batch::Left::kNothing);
  EXPECT_EQ(Get().backlog_count(), 0) << "its position moves on";
  ASSERT_THAT(Append(EventOf("c", 0, "STOP")), IsOk());
  EXPECT_THAT(TakeIds(), ElementsAre("c:1"));
}

TEST_F(SubscriptionsTest, PassesOverALimitedNumberAtOnce) {
  std::vector<broker::Entry> entries;
  entries.reserve(2000);
  for (int i = 0; i < 2000; ++i) entries.push_back(EventOf("id" + std::to_string(i)));
  for (const auto& receipt : Append(std::move(entries))) ASSERT_THAT(receipt, IsOk());
  v1::Subscription wanted = Wanted();
  wanted.mutable_filter()->add_keywords("none");
  ASSERT_THAT(Create(wanted), IsOk());
  EXPECT_EQ(Stream().Take({.max_events = 100, .max_bytes = 1 << 20})->left, Batch::Left::kMore);
  EXPECT_THAT(TakeIds(), IsEmpty());
  EXPECT_EQ(left_, Batch::Left::kNothing);
  EXPECT_EQ(Get().backlog_count(), 0);
}

TEST_F(SubscriptionsTest, OrdersBySender) {
  v1::Subscription wanted = Wanted();
  wanted.set_order_by_sender(true);
  ASSERT_THAT(Create(wanted), IsOk());
  Accept({"a1", "a2"}, "1");
  Accept({"b1"}, "2");
  const Deliveries first = Take();
  EXPECT_THAT(Ids(first), ElementsAre("a1:1", "b1:1"));
  EXPECT_THAT(TakeIds(1), IsEmpty()) << "on no stream";
  ReopenAll();
  const Deliveries again = Take();
  EXPECT_THAT(Ids(again), ElementsAre("a1:2", "b1:2"));
  Ack({again[0]});
  EXPECT_THAT(TakeIds(1), ElementsAre("a2:1"));
}

TEST_F(SubscriptionsTest, SharesEventsBetweenStreamsAndReturnsThoseOfAStreamThatEnds) {
  ASSERT_THAT(Create(), IsOk());
  Stream(0);
  Stream(1);
  Accept({"a", "b", "c", "d"});
  EXPECT_THAT(TakeIds(0), ElementsAre("a:1", "b:1")) << "half";
  const Deliveries others = Take(1);
  EXPECT_THAT(Ids(others), ElementsAre("c:1"));
  EndStream(0);
  EXPECT_THAT(TakeIds(1), IsEmpty()) << "a and b are to be alone";
  Ack(others);
  EXPECT_THAT(TakeIds(1), ElementsAre("a:2"));
  EXPECT_EQ(Get().stream_count(), 1);
}

TEST_F(SubscriptionsTest, StopsAtTheWindowsOfStreamAndSubscription) {
  v1::Subscription wanted = Wanted();
  wanted.set_max_outstanding_messages(3);
  ASSERT_THAT(Create(wanted), IsOk());
  Accept({"a", "b", "c", "d", "e"});
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

TEST_F(SubscriptionsTest, WakesOneStreamAnEventAndTheOtherIfThatOneLeaves) {
  ASSERT_THAT(Create(), IsOk());
  std::atomic<int> first{0}, second{0};
  Stream(0).Wait([&] { ++first; });
  Stream(1).Wait([&] { ++second; });
  Accept({"a"});
  EXPECT_EQ(first, 1);
  EXPECT_EQ(second, 0);
  streams_.erase(0);  // before it took anything
  EXPECT_EQ(second, 1);
  EXPECT_THAT(TakeIds(1), ElementsAre("a:1"));
}

TEST_F(SubscriptionsTest, WakesAStreamWhenALeaseEnds) {
  ASSERT_THAT(Create(), IsOk());
  Accept({"a"});
  EXPECT_THAT(TakeIds(), ElementsAre("a:1"));
  std::promise<void> woken;
  Stream().Wait([&] { woken.set_value(); });
  clock().AdvanceSeconds(10);
  // The lease ends, and then the wait of its backoff.
  while (subscriptions().Stats()[0].lease_expired_total == 0) {
    std::this_thread::yield();
  }
  clock().AdvanceSeconds(1);
  woken.get_future().wait();
  EXPECT_THAT(TakeIds(), ElementsAre("a:2"));
}

TEST_F(SubscriptionsTest, Seeks) {
  Accept({"a", "b"});
  ASSERT_THAT(Create(), IsOk());
  const Deliveries before = Take();
  Ack({before[0]});
  ASSERT_THAT(subscriptions().Seek("orders", Earliest()), IsOk());
  EXPECT_THAT(FailuresOf({before[1].ack_id()}), ElementsAre(v1::ACK_FAILURE_REASON_EXPIRED));
  EXPECT_THAT(TakeIds(), ElementsAre("a:1", "b:1"));
  ReopenAll();
  EXPECT_THAT(TakeIds(), ElementsAre("a:2", "b:2"));
  ASSERT_THAT(subscriptions().Seek("orders", After(before[1].event().cursor())), IsOk());
  EXPECT_THAT(TakeIds(), IsEmpty());
  ReopenAll();
  EXPECT_THAT(TakeIds(), IsEmpty());
  EXPECT_EQ(Get().backlog_count(), 0);
}

TEST_F(SubscriptionsTest, ForgetsAtASeekWhatWasAcknowledged) {
  Accept({"a", "b"});
  ASSERT_THAT(Create(), IsOk());
  Ack({Take()[1]});
  ASSERT_THAT(subscriptions().Seek("orders", Earliest()), IsOk());
  ReopenAll();
  EXPECT_THAT(TakeIds(), ElementsAre("a:1", "b:1"));
}

TEST_F(SubscriptionsTest, SeeksToATimeToCome) {
  ASSERT_THAT(Create(), IsOk());
  v1::StartPosition later;
  later.mutable_accept_time()->set_seconds(clock().NowMicros() / kSecond + 60);
  ASSERT_THAT(subscriptions().Seek("orders", later), IsOk());
  Accept({"a"});
  EXPECT_THAT(TakeIds(), IsEmpty());
  clock().AdvanceSeconds(60);
  Accept({"b"});
  EXPECT_THAT(TakeIds(), ElementsAre("b:1"));
}

TEST_F(SubscriptionsTest, SaysWhatRetentionTookAway) {
  options().retention_age_micros = 100 * kSecond;
  ReopenAll();
  ASSERT_THAT(Create(), IsOk());
  Accept({"a", "b"});
  Ack(Take(0, 1));
  clock().AdvanceSeconds(200);
  Accept({"c"});
  while (Get().expired_count() == 0) std::this_thread::yield();
  EXPECT_EQ(Get().expired_count(), 1);
  EXPECT_THAT(TakeIds(), ElementsAre("c:1"));
  ReopenAll();
  EXPECT_EQ(Get().expired_count(), 1);
}

TEST_F(SubscriptionsTest, RemovesWhatNobodyUses) {
  v1::Subscription wanted = Wanted();
  wanted.mutable_expiration_ttl()->set_seconds(60);
  ASSERT_THAT(Create(wanted), IsOk());
  Stream();
  clock().AdvanceSeconds(100);
  TakeIds();  // in use
  EndStream();
  clock().AdvanceSeconds(100);
  ReopenAll();  // nobody could use it meanwhile
  clock().AdvanceSeconds(59);
  EXPECT_THAT(subscriptions().Get("orders"), IsOk());
  clock().AdvanceSeconds(2);
  while (subscriptions().Get("orders").ok()) std::this_thread::yield();
  EXPECT_THAT(subscriptions().Get("orders"),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("orders")));
}

TEST_F(SubscriptionsTest, CreatesOnceAndNamesTheDifference) {
  ASSERT_THAT(Create(), IsOk());
  EXPECT_THAT(Create(), IsOk());
  v1::Subscription other = Wanted();
  other.set_max_attempts(7);
  EXPECT_THAT(Create(other), StatusIs(absl::StatusCode::kAlreadyExists, HasSubstr("max_attempts")));
  other = Wanted();
  other.mutable_start_position()->set_boundary(v1::BOUNDARY_LATEST);
  EXPECT_THAT(Create(other),
              StatusIs(absl::StatusCode::kAlreadyExists, HasSubstr("start_position")));
}

TEST_F(SubscriptionsTest, ListsByPage) {
  for (const char* name : {"c", "a", "b"}) ASSERT_THAT(Create(Wanted(name)), IsOk());
  auto page = subscriptions().List(2, "");
  ASSERT_EQ(page.subscriptions_size(), 2);
  EXPECT_EQ(page.subscriptions(0).name(), "a");
  page = subscriptions().List(2, page.next_page_token());
  ASSERT_EQ(page.subscriptions_size(), 1);
  EXPECT_EQ(page.subscriptions(0).name(), "c");
  EXPECT_EQ(page.next_page_token(), "");
}

TEST_F(SubscriptionsTest, PagesHaveALimitInBytes) {
  for (const char* name : {"a", "b", "c"}) {
    v1::Subscription wanted = Wanted(name);
    wanted.mutable_filter()->add_keywords(std::string(2 << 20, 'x'));
    ASSERT_THAT(Create(wanted), IsOk());
  }
  std::vector<std::string> names;
  std::string token;
  do {
    const auto page = subscriptions().List(10, token);
    ASSERT_EQ(page.subscriptions_size(), 1);
    names.push_back(page.subscriptions(0).name());
    token = page.next_page_token();
  } while (!token.empty());
  EXPECT_THAT(names, ElementsAre("a", "b", "c"));
}

TEST_F(SubscriptionsTest, ForgetsEverythingOfADeletedOne) {
  Accept({"a"});
  ASSERT_THAT(Create(), IsOk());
  const Deliveries taken = Take();
  ASSERT_THAT(subscriptions().Delete("orders"), IsOk());
  EXPECT_THAT(Stream().Take({}), StatusIs(absl::StatusCode::kNotFound, HasSubstr("deleted")));
  EXPECT_THAT(Change({taken[0].ack_id()}, {}),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("orders")));
  ReopenAll();
  EXPECT_THAT(subscriptions().Get("orders"),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("orders")));
  ASSERT_THAT(Create(), IsOk());
  EXPECT_THAT(TakeIds(), ElementsAre("a:1")) << "a new one of that name knows nothing of it";
  EXPECT_THAT(FailuresOf({taken[0].ack_id()}), ElementsAre(v1::ACK_FAILURE_REASON_INVALID));
}

TEST_F(SubscriptionsTest, UpdatesWhatIsInForce) {
  ASSERT_THAT(Create(), IsOk());
  v1::Subscription changed = Wanted();
  changed.set_max_attempts(1);
  ASSERT_THAT(subscriptions().Update(changed, {}), IsOk());
  ReopenAll();
  EXPECT_EQ(Get().max_attempts(), 1);
  Accept({"a"});
  const Deliveries taken = Take();
  EXPECT_THAT(FailuresOf({taken[0].ack_id()}, {.kind = AckChange::Kind::kRedeliver}), IsEmpty());
  EXPECT_EQ(Get().dead_letter_count(), 1);
}

TEST_F(SubscriptionsTest, WakesTheOthersWhileTheWokenStreamWrites) {
  ASSERT_THAT(Create(), IsOk());
  std::atomic<int> first{0}, second{0};
  Stream(0).Wait([&] { ++first; });
  Stream(1).Wait([&] { ++second; });
  Accept({"a"});
  EXPECT_EQ(first, 1);
  EXPECT_THAT(TakeIds(0), ElementsAre("a:1"));  // and its client does not read on
  Accept({"b"});
  EXPECT_EQ(second, 1);
}

TEST_F(SubscriptionsTest, KeepsAReplayOfWhatASeekBroughtBack) {
  Accept({"a"});
  ASSERT_THAT(Create(), IsOk());
  const Deliveries taken = Take();
  const AckChange give_up{.kind = AckChange::Kind::kDeadLetter, .reason = "no"};
  EXPECT_THAT(FailuresOf({taken[0].ack_id()}, give_up), IsEmpty());
  ASSERT_THAT(subscriptions().Seek("orders", Earliest()), IsOk());
  EXPECT_THAT(TakeIds(), ElementsAre("a:1"));
  EXPECT_EQ(*subscriptions().ReplayDeadLetters("orders", {}), 1);
  ASSERT_THAT(subscriptions().Seek("orders", After(taken[0].event().cursor())), IsOk());
  const Deliveries again = Take();
  EXPECT_THAT(Ids(again), ElementsAre("a:2"));
  Ack(again);
  ReopenAll();
  EXPECT_THAT(TakeIds(), IsEmpty());
}

TEST_F(SubscriptionsTest, CountsADeadLetterOnce) {
  Accept({"a"});
  ASSERT_THAT(Create(), IsOk());
  const AckChange give_up{.kind = AckChange::Kind::kDeadLetter, .reason = "no"};
  EXPECT_THAT(FailuresOf({Take()[0].ack_id()}, give_up), IsEmpty());
  ASSERT_THAT(subscriptions().Seek("orders", Earliest()), IsOk());
  const Deliveries again = Take();
  EXPECT_THAT(FailuresOf({again[0].ack_id()}, give_up), IsEmpty());
  EXPECT_EQ(Get().dead_letter_count(), 1);
  const std::string cursor = again[0].event().cursor();
  EXPECT_EQ(*subscriptions().ReplayDeadLetters("orders", {cursor, cursor}), 1);
  EXPECT_EQ(Get().dead_letter_count(), 0);
}

TEST_F(SubscriptionsTest, GivesUpOnAReplayAgain) {
  Accept({"a"});
  ASSERT_THAT(Create(), IsOk());
  for (const char* reason : {"first", "second"}) {
    const AckChange give_up{.kind = AckChange::Kind::kDeadLetter, .reason = reason};
    const Deliveries taken = Take();
    EXPECT_THAT(Ids(taken), ElementsAre("a:1"));
    EXPECT_THAT(FailuresOf({taken[0].ack_id()}, give_up), IsEmpty());
    auto dead = subscriptions().ListDeadLetters("orders", 10, "");
    ASSERT_THAT(dead, IsOk());
    ASSERT_EQ(dead->dead_letters_size(), 1);
    EXPECT_EQ(dead->dead_letters(0).reason(), reason);
    EXPECT_EQ(dead->dead_letters(0).event().mms_mo().tracking_id(), "a");
    EXPECT_EQ(*subscriptions().ReplayDeadLetters("orders", {}), 1);
    ReopenAll();
  }
  EXPECT_EQ(Get().backlog_count(), 1);
  EXPECT_EQ(Get().dead_letter_count(), 0);
}

TEST_F(SubscriptionsTest, AnswersAsBeforeWhatIsSaidAgain) {
  Accept({"a", "b", "c"});
  ASSERT_THAT(Create(), IsOk());
  const Deliveries taken = Take();
  const AckChange give_up{.kind = AckChange::Kind::kDeadLetter, .reason = "no"};
  const AckChange later{.kind = AckChange::Kind::kRedeliver, .micros = kSecond};
  for (int i = 0; i < 2; ++i) {
    EXPECT_THAT(FailuresOf({taken[0].ack_id()}, {}), IsEmpty());
    EXPECT_THAT(FailuresOf({taken[1].ack_id()}, give_up), IsEmpty());
    EXPECT_THAT(FailuresOf({taken[2].ack_id()}, later), IsEmpty());
  }
}

TEST_F(SubscriptionsTest, RemovesADeadLetterThatIsAcknowledgedLate) {
  Accept({"a", "b"});
  ASSERT_THAT(Create(), IsOk());
  const Deliveries taken = Take();
  const AckChange give_up{.kind = AckChange::Kind::kDeadLetter, .reason = "no"};
  EXPECT_THAT(FailuresOf({taken[0].ack_id(), taken[1].ack_id()}, give_up), IsEmpty());
  EXPECT_EQ(Get().dead_letter_count(), 2);
  Ack({taken[0]});
  Ack({taken[0]});  // again is as good
  EXPECT_EQ(Get().dead_letter_count(), 1);
  ReopenAll();
  EXPECT_EQ(Get().dead_letter_count(), 1);
  EXPECT_EQ(subscriptions()
                .ListDeadLetters("orders", 10, "")
                ->dead_letters(0)
                .event()
                .mms_mo()
                .tracking_id(),
            "b");
}

TEST_F(SubscriptionsTest, TakesAcknowledgementsOfWhatIsDoneWithAlsoAfterASeek) {
  Accept({"a", "b"});
  ASSERT_THAT(Create(), IsOk());
  const Deliveries taken = Take();
  Ack(taken);
  ASSERT_THAT(subscriptions().Seek("orders", After(taken[0].event().cursor())), IsOk());
  EXPECT_THAT(FailuresOf({taken[0].ack_id(), taken[1].ack_id()}),
              ElementsAre(v1::ACK_FAILURE_REASON_EXPIRED))
      << "the seek brought b back";
  EXPECT_THAT(TakeIds(), ElementsAre("b:1"));
}

TEST_F(SubscriptionsTest, DiscardsDeadLetters) {
  Accept({"a", "b", "c"});
  ASSERT_THAT(Create(), IsOk());
  std::vector<std::string> ack_ids;
  const Deliveries taken = Take();
  for (const auto& delivery : taken) ack_ids.push_back(delivery.ack_id());
  EXPECT_THAT(FailuresOf(ack_ids, {.kind = AckChange::Kind::kDeadLetter}), IsEmpty());
  const std::string cursor = taken[1].event().cursor();
  EXPECT_EQ(*subscriptions().DiscardDeadLetters("orders", {cursor, cursor}), 1);
  EXPECT_EQ(Get().dead_letter_count(), 2);
  EXPECT_EQ(*subscriptions().DiscardDeadLetters("orders", {}), 2);
  ReopenAll();
  EXPECT_EQ(Get().dead_letter_count(), 0);
  EXPECT_THAT(TakeIds(), IsEmpty());
}

TEST_F(SubscriptionsTest, KeepsPendingWhatTheBudgetOfDeadLettersHasNoRoomFor) {
  options().max_dead_letters = 1;
  ReopenAll();
  v1::Subscription wanted = Wanted();
  wanted.set_max_outstanding_messages(3);
  Accept({"a", "b", "c", "d"});
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

TEST_F(SubscriptionsTest, CountsWhatFailedForGoodAgainstTheCeilingWhereItCannotBeADeadLetter) {
  options().max_dead_letters = 1;
  ReopenAll();
  v1::Subscription wanted = Wanted();
  wanted.set_max_attempts(1);
  wanted.set_max_outstanding_messages(2);
  Accept({"a", "b", "c", "d"});
  ASSERT_THAT(Create(wanted), IsOk());
  const Deliveries taken = Take();
  EXPECT_THAT(
      FailuresOf({taken[0].ack_id(), taken[1].ack_id()}, {.kind = AckChange::Kind::kRedeliver}),
      IsEmpty());
  EXPECT_EQ(Get().dead_letter_count(), 1);
  EXPECT_THAT(TakeIds(), ElementsAre("c:1")) << "b waits, and takes the other's place";
  EXPECT_EQ(Get().backlog_count(), 3);
  EXPECT_EQ(*subscriptions().DiscardDeadLetters("orders", {}), 1);
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (Get().dead_letter_count() == 0 && std::chrono::steady_clock::now() < deadline) {
    clock().AdvanceSeconds(0);
    std::this_thread::yield();
  }
  EXPECT_EQ(Get().dead_letter_count(), 1);
  EXPECT_THAT(TakeIds(), ElementsAre("d:1"));
}

TEST_F(SubscriptionsTest, ResumesAStream) {
  Accept({"a", "b"});
  ASSERT_THAT(Create(), IsOk());
  Stream(0, {.stream_id = "first"});
  const Deliveries taken = Take(0);
  streams_.erase(0);
  auto resumed =
      OpenStreamOf(subscriptions(), "orders",
                   {.stream_id = "second", .resume_stream_id = "first", .received_frames = 0});
  ASSERT_THAT(resumed, IsOk());
  EXPECT_TRUE(resumed->resumed);
  streams_[1] = std::move(resumed->feed);
  const Deliveries again = Take(1);
  ASSERT_THAT(Ids(again), ElementsAre("a:1", "b:1")) << "its frame was cut off";
  EXPECT_EQ(again[0].ack_id(), taken[0].ack_id());
  Ack({taken[0]});
  EXPECT_EQ(Stream(1).Outstanding(), 1);
  // Nothing was cut off this time.
  streams_.erase(1);
  resumed =
      OpenStreamOf(subscriptions(), "orders", {.resume_stream_id = "second", .received_frames = 1});
  streams_[2] = std::move(resumed->feed);
  EXPECT_THAT(TakeIds(2), IsEmpty());
  Ack({again[1]});
  ReopenAll();
  EXPECT_EQ(Get().backlog_count(), 0);
}

TEST_F(SubscriptionsTest, ResumesOnceMoreWhatItsClientDidNotLearnToBeResumed) {
  Accept({"a"});
  ASSERT_THAT(Create(), IsOk());
  Stream(0, {.stream_id = "first"});
  const Deliveries taken = Take(0);
  streams_.erase(0);
  const broker::StreamWish again{.resume_stream_id = "first", .received_frames = 0};
  broker::StreamWish lost = again;
  lost.stream_id = "lost";
  Stream(1, lost);
  ASSERT_THAT(TakeIds(1), ElementsAre("a:1"));
  streams_.erase(1);  // and its client saw nothing of it
  auto third = OpenStreamOf(subscriptions(), "orders", again);
  EXPECT_TRUE(third->resumed);
  streams_[2] = std::move(third->feed);
  const Deliveries resent = Take(2);
  ASSERT_THAT(Ids(resent), ElementsAre("a:1"));
  EXPECT_EQ(resent[0].ack_id(), taken[0].ack_id());
}

TEST_F(SubscriptionsTest, EndsAStreamThatIsResumedWhileItLives) {
  Accept({"a"});
  ASSERT_THAT(Create(), IsOk());
  std::promise<void> superseded;
  Stream(0, {.stream_id = "first", .superseded = [&] { superseded.set_value(); }});
  const Deliveries taken = Take(0);
  auto second =
      OpenStreamOf(subscriptions(), "orders", {.resume_stream_id = "first", .received_frames = 1});
  EXPECT_TRUE(second->resumed);
  superseded.get_future().wait();
  EXPECT_THAT(Stream(0).Take({}), StatusIs(absl::StatusCode::kAborted, HasSubstr("resumed")));
  EXPECT_EQ(second->feed->Outstanding(), 1);
  streams_.erase(0);
  Ack(taken);
  EXPECT_EQ(second->feed->Outstanding(), 0);
}

TEST_F(SubscriptionsTest, ResumesNothingOfAnotherSubscriptionNorAfterAWhile) {
  Accept({"a"});
  ASSERT_THAT(Create(), IsOk());
  ASSERT_THAT(Create(Wanted("others")), IsOk());
  Stream(0, {.stream_id = "first"});
  Take(0);
  EXPECT_FALSE(OpenStreamOf(subscriptions(), "others", {.resume_stream_id = "first"})->resumed);
  EndStream(0);
  TakeIds(1);
  EXPECT_FALSE(OpenStreamOf(subscriptions(), "orders", {.resume_stream_id = "first"})->resumed);
}

TEST_F(SubscriptionsTest, CountsFailuresOverAReopening) {
  v1::Subscription wanted = Wanted();
  wanted.set_max_attempts(2);
  Accept({"a"});
  ASSERT_THAT(Create(wanted), IsOk());
  for (int i = 0; i < 5; ++i) {
    const Deliveries taken = Take();
    ASSERT_EQ(taken.size(), 1u);
    EXPECT_EQ(taken[0].attempt(), i + 1);
    ReopenAll();  // is no failure
  }
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(Get().dead_letter_count(), 0);
    const Deliveries taken = Take();
    ASSERT_EQ(taken.size(), 1u);
    EXPECT_THAT(FailuresOf({taken[0].ack_id()}, {.kind = AckChange::Kind::kRetry}), IsEmpty());
    ReopenAll();
    clock().AdvanceSeconds(1);
  }
  EXPECT_THAT(TakeIds(), IsEmpty());
  EXPECT_EQ(Get().dead_letter_count(), 1);
}

TEST_F(SubscriptionsTest, SurvivesAnUpdateThatRacesADelete) {
  for (int i = 0; i < 20; ++i) {
    ASSERT_THAT(Create(), IsOk());
    v1::Subscription changed = Wanted();
    changed.set_max_attempts(1 + i);
    auto updating = std::async(std::launch::async,
                               [&] { return subscriptions().Update(changed, {}).status(); });
    auto seeking = std::async(std::launch::async,
                              [&] { return subscriptions().Seek("orders", Earliest()).status(); });
    ASSERT_THAT(subscriptions().Delete("orders"), IsOk());
    (void)updating.get();  // either may come first
    (void)seeking.get();
  }
  ReopenAll();
  EXPECT_EQ(subscriptions().List(10, "").subscriptions_size(), 0);
}

TEST_F(SubscriptionsTest, TakesTheTimeToLiveFromItsSettingOn) {
  ASSERT_THAT(Create(), IsOk());
  clock().AdvanceSeconds(1000);
  v1::Subscription changed = Wanted();
  changed.mutable_expiration_ttl()->set_seconds(60);
  ASSERT_THAT(subscriptions().Update(changed, {}), IsOk());
  clock().AdvanceSeconds(59);
  EXPECT_THAT(subscriptions().Get("orders"), IsOk());
  clock().AdvanceSeconds(2);
  while (subscriptions().Get("orders").ok()) std::this_thread::yield();
}

}  // namespace
}  // namespace mmsmo::embedded
