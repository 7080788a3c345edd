// What the embedded engine does with named subscriptions beyond what every engine promises, which
// tests/broker/contract holds.

#include "gateway/embedded/subscriptions/subscriptions.h"

#include <atomic>
#include <string>
#include <vector>

#include "tests/embedded/engine.h"

namespace mmsmo::embedded {
namespace {

using broker::AckChange;
using broker::Batch;
using testing::ElementsAre;
using testing::IsEmpty;

constexpr int64_t kSecond = 1'000'000;

class SubscriptionsTest : public testing::Test, protected Engine {
 protected:
  SubscriptionsTest() { Open(); }

  // Without a successor: its deliveries are given to others.
  void EndStream(int number = 0) {
    CutStream(number);
    clock().AdvanceSeconds(2);
  }
};

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
