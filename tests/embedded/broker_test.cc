#include "gateway/embedded/broker.h"

#include <atomic>
#include <string>
#include <vector>

#include "gateway/embedded/log/cursor.h"
#include "tests/embedded/engine.h"

namespace mmsmo::embedded {
namespace {

using broker::Receipt;
using testing::ElementsAre;
using testing::HasSubstr;

class EmbeddedBrokerTest : public testing::Test, protected Engine {
 protected:
  EmbeddedBrokerTest() { Open(); }

  std::string Accept(const std::string& tracking_id, const std::string& keyword = "all") {
    const auto receipt = Append(EventOf(tracking_id, 0, keyword));
    EXPECT_THAT(receipt, IsOk());
    EXPECT_EQ(receipt->outcome, Receipt::Outcome::kAccepted);
    return receipt->cursor;
  }
};

TEST_F(EmbeddedBrokerTest, DeliversInOrderWithCursorAndTime) {
  const std::string first = Accept("a");
  clock().AdvanceSeconds(1);
  const std::string second = Accept("b");
  const auto events = Read(Earliest());
  ASSERT_THAT(events, IsOk());
  ASSERT_EQ(events->size(), 2u);
  EXPECT_EQ((*events)[0].cursor(), first);
  EXPECT_EQ((*events)[1].cursor(), second);
  EXPECT_EQ((*events)[0].endpoint(), "mms-mo");
  EXPECT_EQ((*events)[1].accept_time().seconds(), (*events)[0].accept_time().seconds() + 1);
}

TEST_F(EmbeddedBrokerTest, AcceptTimesNeverDecrease) {
  Accept("a");
  clock().AdvanceSeconds(-3600);
  Accept("b");
  const auto events = *Read(Earliest());
  EXPECT_EQ(events[0].accept_time().seconds(), events[1].accept_time().seconds());
}

TEST_F(EmbeddedBrokerTest, PublishesARepeatedPostbackOnce) {
  const std::string cursor = Accept("a");
  const auto again = Append(EventOf("a"));
  ASSERT_THAT(again, IsOk());
  EXPECT_EQ(again->outcome, Receipt::Outcome::kDuplicate);
  EXPECT_EQ(again->cursor, cursor);
  EXPECT_THAT(ReadIds(Earliest()), ElementsAre("a"));
}

TEST_F(EmbeddedBrokerTest, SeesARepetitionWithinOneGroup) {
  std::vector<broker::Entry> entries;
  entries.push_back(EventOf("a"));
  entries.push_back(EventOf("a"));
  entries.push_back(EventOf("a", 1));
  const auto receipts = Append(std::move(entries));
  EXPECT_EQ(receipts[0]->outcome, Receipt::Outcome::kAccepted);
  EXPECT_EQ(receipts[1]->outcome, Receipt::Outcome::kDuplicate);
  EXPECT_EQ(receipts[1]->cursor, receipts[0]->cursor);
  EXPECT_EQ(receipts[2]->outcome, Receipt::Outcome::kConflict);
  EXPECT_EQ(receipts[2]->cursor, receipts[0]->cursor);
}

TEST_F(EmbeddedBrokerTest, GivesBackTheSameIdWithOtherContent) {
  const std::string cursor = Accept("a");
  const auto conflict = Append(EventOf("a", 1));
  ASSERT_THAT(conflict, IsOk());
  EXPECT_EQ(conflict->outcome, Receipt::Outcome::kConflict);
  EXPECT_EQ(conflict->cursor, cursor);
  EXPECT_EQ(conflict->entry->body, "<a/>");
  EXPECT_EQ(conflict->entry->event, EventOf("a", 1).event);
  EXPECT_THAT(ReadIds(Earliest()), ElementsAre("a"));
}

TEST_F(EmbeddedBrokerTest, RemembersEachContentThatWasPublished) {
  std::vector<std::string> cursors;
  const auto expect_duplicates = [&] {
    for (uint8_t content = 0; content < cursors.size(); ++content) {
      const auto again = Append(EventOf("a", content));
      EXPECT_EQ(again->outcome, Receipt::Outcome::kDuplicate);
      EXPECT_EQ(again->cursor, cursors[content]);
    }
    EXPECT_EQ(Append(EventOf("a", 77))->outcome, Receipt::Outcome::kConflict);
  };
  cursors.push_back(Accept("a"));
  std::vector<broker::Entry> group;
  for (const uint8_t content : {1, 2, 1, 0}) group.push_back(ByForce(EventOf("a", content)));
  const auto receipts = Append(std::move(group));
  cursors.push_back(receipts[0]->cursor);
  cursors.push_back(receipts[1]->cursor);
  EXPECT_EQ(receipts[2]->cursor, cursors[1]);
  EXPECT_EQ(receipts[3]->cursor, cursors[0]);
  expect_duplicates();
  Reopen();
  expect_duplicates();
  EXPECT_THAT(ReadIds(Earliest()), ElementsAre("a", "a", "a"));
}

TEST_F(EmbeddedBrokerTest, RemembersAcrossAReopening) {
  const std::string a = Accept("a");
  Reopen();
  EXPECT_EQ(Append(EventOf("a"))->cursor, a);
  Accept("b");
  EXPECT_THAT(ReadIds(Earliest()), ElementsAre("a", "b"));
  EXPECT_THAT(ReadIds(After(a)), ElementsAre("b"));
}

TEST_F(EmbeddedBrokerTest, ReadsFromMemoryWhatItReadsFromDisk) {
  for (int i = 0; i < 100; ++i) Accept("id" + std::to_string(i));
  const auto warm = *Read(Earliest());
  Reopen();
  const auto cold = *Read(Earliest());
  ASSERT_EQ(warm.size(), cold.size());
  for (size_t i = 0; i < warm.size(); ++i)
    EXPECT_EQ(warm[i].SerializeAsString(), cold[i].SerializeAsString());
}

TEST_F(EmbeddedBrokerTest, FiltersFromMemoryAndFromDisk) {
  v1::Filter filter;
  filter.add_keywords("Win");
  for (int i = 0; i < 20; ++i) Accept("id" + std::to_string(i), i % 10 == 3 ? "WIN" : "all");
  EXPECT_THAT(ReadIds(Earliest(), filter), ElementsAre("id3", "id13"));
  Reopen();
  EXPECT_THAT(ReadIds(Earliest(), filter), ElementsAre("id3", "id13"));
}

TEST_F(EmbeddedBrokerTest, CommitsAndScansAnyNumberInStepsOfALimitedSize) {
  std::vector<std::future<broker::Receipts>> answers;
  for (int i = 0; i < 10; ++i) {
    std::vector<broker::Entry> entries;
    entries.reserve(2000);
    for (int j = 0; j < 2000; ++j) entries.push_back(EventOf("id" + std::to_string(2000 * i + j)));
    auto promise = std::make_shared<std::promise<broker::Receipts>>();
    answers.push_back(promise->get_future());
    broker().Append(std::move(entries), [promise](broker::Receipts receipts) {
      promise->set_value(std::move(receipts));
    });
  }
  for (auto& answer : answers) {
    const broker::Receipts receipts = answer.get();
    ASSERT_EQ(receipts.size(), 2000u);
    for (const auto& receipt : receipts) ASSERT_THAT(receipt, IsOk());
  }
  v1::Filter filter;
  filter.add_keywords("none");
  auto feed = *OpenFeed(Earliest(), filter);
  for (const auto left : {broker::Batch::Left::kMore, broker::Batch::Left::kNothing}) {
    const auto batch = feed->Take({.max_events = 10, .max_bytes = 1 << 20});
    ASSERT_THAT(batch, IsOk());
    EXPECT_EQ(batch->count, 0);
    EXPECT_EQ(batch->left, left) << "10,000 are passed over at once";
  }
}

TEST_F(EmbeddedBrokerTest, StartsAtATime) {
  Accept("a");
  clock().AdvanceSeconds(10);
  Accept("b");
  v1::StartPosition start;
  const int64_t b_seconds = clock().NowMicros() / 1'000'000;
  start.mutable_accept_time()->set_seconds(b_seconds);
  EXPECT_THAT(ReadIds(start), ElementsAre("b"));
  start.mutable_accept_time()->set_seconds(b_seconds - 10);
  EXPECT_THAT(ReadIds(start), ElementsAre("a", "b"));

  start.mutable_accept_time()->set_seconds(b_seconds + 10);
  auto feed = OpenFeed(start, {});
  ASSERT_THAT(feed, IsOk());
  clock().AdvanceSeconds(5);
  Accept("too early");
  clock().AdvanceSeconds(5);
  Accept("in time");
  const auto events = Drain(**feed);
  ASSERT_THAT(events, IsOk());
  ASSERT_EQ(events->size(), 1u);
  EXPECT_EQ((*events)[0].mms_mo().tracking_id(), "in time");
}

TEST_F(EmbeddedBrokerTest, KeepsBatchesWithinTheirLimits) {
  for (int i = 0; i < 10; ++i) Accept("id" + std::to_string(i));
  auto feed = *OpenFeed(Earliest());
  EXPECT_EQ(feed->Take({.max_events = 3, .max_bytes = 1 << 20})->count, 3);
  EXPECT_EQ(feed->Take({.max_events = 3, .max_bytes = 1})->count, 1);
  EXPECT_EQ(feed->Backlog(), 6);
  const auto rest = *feed->Take({.max_events = 100, .max_bytes = 1 << 20});
  EXPECT_EQ(rest.count, 6);
  EXPECT_EQ(rest.left, broker::Batch::Left::kNothing);
}

TEST_F(EmbeddedBrokerTest, WakesWhoWaitsAndNobodyElse) {
  auto feed = *OpenFeed(Earliest());
  std::atomic<int> wakes{0};
  feed->Wait([&wakes] { ++wakes; });
  EXPECT_EQ(wakes, 0);
  Accept("a");
  ASSERT_THAT(Drain(*feed), IsOk());  // the receipt may come before the wake-up
  Accept("b");
  feed->Wait([&wakes] { wakes += 10; });
  EXPECT_EQ(wakes, 11);
  feed->Wait([&wakes] { wakes += 100; });
  feed.reset();
  Accept("c");
  EXPECT_EQ(wakes, 111);
}

TEST_F(EmbeddedBrokerTest, RefusesCursorsThatItCannotHonour) {
  const std::string cursor = Accept("a");
  EXPECT_THAT(Read(After("nonsense")),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("not a cursor")));
  const std::string other = EncodeCursor(1, 1);
  EXPECT_THAT(Read(After(other)),
              StatusIs(absl::StatusCode::kOutOfRange, HasSubstr("another log")));
  EXPECT_THAT(Read(After(other)), HasReason("CURSOR_EXPIRED"));
  const EpochId epoch = DecodeCursor(cursor)->epoch;
  EXPECT_THAT(Read(After(EncodeCursor(epoch, 2))), HasReason("CURSOR_EXPIRED"));
  EXPECT_THAT(broker().GetEvent(EncodeCursor(epoch, 0)), HasReason("CURSOR_EXPIRED"));
}

TEST_F(EmbeddedBrokerTest, GivesAnEventAndItsRawBody) {
  const std::string cursor = Accept("a");
  v1::Event event;
  ASSERT_TRUE(event.ParseFromString(*broker().GetEvent(cursor)));
  EXPECT_EQ(event.mms_mo().tracking_id(), "a");
  const auto raw = broker().GetRawPostback(cursor);
  ASSERT_THAT(raw, IsOk());
  EXPECT_EQ(raw->body, "<a/>");
  EXPECT_EQ(raw->content_type, "text/xml");
}

TEST_F(EmbeddedBrokerTest, SaysSoWhereRawBodiesAreNotKept) {
  options().keep_raw = false;
  Reopen();
  EXPECT_THAT(broker().GetRawPostback(Accept("a")),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("was not kept")));
}

}  // namespace
}  // namespace mmsmo::embedded
