// What the embedded engine does with named subscriptions beyond what every engine promises, which
// tests/broker/contract holds.

#include "gateway/embedded/subscriptions/subscriptions.h"

#include <atomic>
#include <chrono>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "tests/embedded/engine.h"

namespace mmsmo::embedded {
namespace {

using broker::AckChange;
using broker::Batch;
using testing::ElementsAre;
using testing::IsEmpty;

constexpr auto kExpired = v1::ACK_FAILURE_REASON_EXPIRED;

constexpr int64_t kSecond = 1'000'000;

class SubscriptionsTest : public testing::Test, protected Engine {
 protected:
  SubscriptionsTest() { Open(); }

  // Without a successor: its deliveries are given to others.
  void EndStream(int number = 0) {
    CutStream(number);
    clock().AdvanceSeconds(2);
  }
  // The writer has looked what is due.
  void AwaitChecks() {
    const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(60);
    while (std::chrono::steady_clock::now() < end) (void)subscriptions().Seek("none", Earliest());
  }
  void SeekToEarliest() { ASSERT_THAT(subscriptions().Seek("orders", Earliest()), IsOk()); }
  // A copy of the data directory as it is now, to go on with later.
  void Copy() {
    Close();
    copy_ = options().data_dir + ".copy";
    std::filesystem::copy(options().data_dir, copy_, std::filesystem::copy_options::recursive);
    Open();
  }
  void Restore() {
    Close();
    options().data_dir = copy_;
    Open();
  }
  std::string copy_;
};

TEST_F(SubscriptionsTest, KeepsADeadLetterFromAnAcknowledgementOfBeforeASeek) {
  AcceptAll({"a"});
  ASSERT_THAT(Create(), IsOk());
  const Deliveries before = Take();
  SeekToEarliest();
  GiveUp(Take()[0]);
  EXPECT_THAT(FailuresOf({before[0].ack_id()}), ElementsAre(kExpired));
  EXPECT_EQ(Get().dead_letter_count(), 1);
}

// The same number, and another event.
TEST_F(SubscriptionsTest, KeepsADeadLetterFromAnAcknowledgementOfBeforeARestore) {
  AcceptAll({"a"});
  ASSERT_THAT(Create(), IsOk());
  Ack(Take());
  Copy();
  AcceptAll({"b"});
  const Deliveries lost = Take();
  options().retention_age_micros = 3600 * kSecond;
  Restore();
  AcceptAll({"c"});
  GiveUp(Take()[0]);
  EXPECT_THAT(FailuresOf({lost[0].ack_id()}), ElementsAre(kExpired));
  clock().AdvanceSeconds(7200);
  while (broker().Stats().events_retained > 0) std::this_thread::yield();
  EXPECT_THAT(FailuresOf({lost[0].ack_id()}), ElementsAre(kExpired)) << "nor once it is removed";
  EXPECT_EQ(Get().dead_letter_count(), 1);
  ASSERT_THAT(subscriptions().ReplayDeadLetters("orders", {}), IsOk());
  EXPECT_THAT(FailuresOf({lost[0].ack_id()}), ElementsAre(kExpired)) << "nor as a replay";
  const Deliveries replayed = Take();
  ASSERT_THAT(Ids(replayed), ElementsAre("c:1"));
  EXPECT_THAT(FailuresOf({lost[0].ack_id()}), ElementsAre(kExpired));
  Ack(replayed);
}

TEST_F(SubscriptionsTest, ExpiresAckIdsOfSeeksThatARestoreHasUndone) {
  AcceptAll({"a"});
  ASSERT_THAT(Create(), IsOk());
  Copy();
  SeekToEarliest();
  const Deliveries lost = Take();
  Restore();
  EXPECT_THAT(FailuresOf({lost[0].ack_id()}), ElementsAre(kExpired));
  SeekToEarliest();
  const Deliveries again = Take();
  EXPECT_NE(again[0].ack_id(), lost[0].ack_id());
  EXPECT_THAT(FailuresOf({lost[0].ack_id()}), ElementsAre(kExpired));
  Ack(again);
}

TEST_F(SubscriptionsTest, HearsAfterARestartWhatIsSaidBeforeAnybodyReads) {
  v1::Subscription wanted = Wanted();
  wanted.set_max_attempts(3);
  AcceptAll({"a", "b", "c"});
  ASSERT_THAT(Create(wanted), IsOk());
  const Deliveries all = Take();
  Reopen();
  for (int i = 0; i < 2; ++i) {  // the second time is a repetition
    EXPECT_THAT(FailuresOf({all[0].ack_id()}, {.kind = AckChange::Kind::kRetry}), IsEmpty());
  }
  EXPECT_THAT(FailuresOf({all[1].ack_id()}, {.kind = AckChange::Kind::kRelease}), IsEmpty());
  GiveUp(all[2]);
  EXPECT_EQ(Get().dead_letter_count(), 1);
  const Deliveries b = Take();
  EXPECT_THAT(Ids(b), ElementsAre("b:2")) << "a has to back off";
  Ack(b);
  clock().AdvanceSeconds(1);
  for (int failures = 2; failures <= 3; ++failures) {
    const Deliveries a = Take();
    ASSERT_THAT(Ids(a), ElementsAre("a:" + std::to_string(failures)));
    EXPECT_THAT(FailuresOf({a[0].ack_id()}, {.kind = AckChange::Kind::kRedeliver}), IsEmpty());
  }
  AwaitChecks();
  EXPECT_EQ(Get().dead_letter_count(), 2);
}

TEST_F(SubscriptionsTest, IsResumedByAClientThatHasNotLearntOfItsLastStream) {
  AcceptAll({"a"});
  ASSERT_THAT(Create(), IsOk());
  Stream(0, {.stream_id = "first"});
  const Deliveries first = Take(0);
  CutStream(0);
  clock().AdvanceSeconds(1);
  EXPECT_TRUE(ResumeAs(1, {.stream_id = "second", .resume_stream_id = "first"}));
  CutStream(1);
  clock().AdvanceSeconds(1);  // since the end of the first the window has passed
  AwaitChecks();
  EXPECT_TRUE(ResumeAs(2, {.stream_id = "third", .resume_stream_id = "first"}));
  EXPECT_THAT(TakeIds(2), ElementsAre("a:1"));
  Ack(first);
}

TEST_F(SubscriptionsTest, KeepsDeadLettersWithinTheirBytes) {
  options().max_dead_letter_bytes = 1 << 20;
  Reopen();
  for (int i = 0; i < 20; ++i) {
    ASSERT_THAT(Append(EventOf("id" + std::to_string(i), 0, std::string(100'000, 'k'))), IsOk());
  }
  v1::Subscription wanted = Wanted();
  wanted.set_max_attempts(1);
  ASSERT_THAT(Create(wanted), IsOk());
  std::vector<std::string> ids;
  for (Deliveries some = Take(); !some.empty(); some = Take()) {
    for (const auto& delivery : some) ids.push_back(delivery.ack_id());
  }
  ASSERT_EQ(ids.size(), 20u);
  const auto failures = FailuresOf(ids, {.kind = AckChange::Kind::kDeadLetter, .reason = "no"});
  EXPECT_EQ(failures.size(), 10u);
  EXPECT_EQ(Get().dead_letter_count(), 10);
  EXPECT_EQ(*subscriptions().DiscardDeadLetters("orders", {}), 10);
  AwaitChecks();
  EXPECT_EQ(Get().dead_letter_count(), 10) << "the others";
}

TEST_F(SubscriptionsTest, WaitsNoLongerWhenTheClockWasSetBack) {
  AcceptAll({"a"});
  ASSERT_THAT(Create(), IsOk());
  EXPECT_THAT(FailuresOf({Take()[0].ack_id()},
                         {.kind = AckChange::Kind::kRedeliver, .micros = 60 * kSecond}),
              IsEmpty());
  clock().AdvanceSeconds(-86'400);
  Reopen();
  EXPECT_THAT(TakeIds(), IsEmpty());
  clock().AdvanceSeconds(60);
  EXPECT_THAT(TakeIds(), ElementsAre("a:2"));
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

TEST_F(SubscriptionsTest, SharesEventsBetweenStreamsAndReturnsThoseOfAStreamThatEnds) {
  ASSERT_THAT(Create(), IsOk());
  Stream(0);
  Stream(1);
  AcceptAll({"a", "b", "c", "d"});
  EXPECT_THAT(TakeIds(0), ElementsAre("a:1", "b:1")) << "half";
  const Deliveries others = Take(1);
  EXPECT_THAT(Ids(others), ElementsAre("c:1"));
  EndStream(0);
  EXPECT_THAT(TakeIds(1), IsEmpty()) << "a and b are to be alone";
  Ack(others);
  EXPECT_THAT(TakeIds(1), ElementsAre("a:2"));
  EXPECT_EQ(Get().stream_count(), 1);
}

TEST_F(SubscriptionsTest, WakesOneStreamAnEventAndTheOtherIfThatOneLeaves) {
  ASSERT_THAT(Create(), IsOk());
  std::atomic<int> first{0}, second{0};
  Stream(0).Wait([&] { ++first; });
  Stream(1).Wait([&] { ++second; });
  AcceptAll({"a"});
  EXPECT_EQ(first, 1);
  EXPECT_EQ(second, 0);
  streams_.erase(0);  // before it took anything
  EXPECT_EQ(second, 1);
  EXPECT_THAT(TakeIds(1), ElementsAre("a:1"));
}

TEST_F(SubscriptionsTest, WakesTheOthersWhileTheWokenStreamWrites) {
  ASSERT_THAT(Create(), IsOk());
  std::atomic<int> first{0}, second{0};
  Stream(0).Wait([&] { ++first; });
  Stream(1).Wait([&] { ++second; });
  AcceptAll({"a"});
  EXPECT_EQ(first, 1);
  EXPECT_THAT(TakeIds(0), ElementsAre("a:1"));  // and its client does not read on
  AcceptAll({"b"});
  EXPECT_EQ(second, 1);
}

}  // namespace
}  // namespace mmsmo::embedded
