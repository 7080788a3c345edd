// What is published, once and for good, and how feeds read it.

#include <atomic>
#include <future>
#include <string>
#include <vector>

#include "tests/broker/contract/contract.h"

namespace mmsmo::broker {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

TEST_P(LogContract, DeliversInOrderWithCursorAndEndpoint) {
  const std::string first = Accept("a"), second = Accept("b");
  const auto events = Read(Earliest());
  ASSERT_THAT(events, IsOk());
  ASSERT_EQ(events->size(), 2u);
  EXPECT_EQ((*events)[0].cursor(), first);
  EXPECT_EQ((*events)[1].cursor(), second);
  EXPECT_EQ((*events)[0].endpoint(), "mms-mo");
  EXPECT_THAT(broker().Ready(), IsOk());
}

TEST_P(LogContract, TellsWhenAnEventWasAccepted) {
  CONTRACT_NEEDS(test_clock);
  Accept("a");
  AdvanceSeconds(1);
  Accept("b");
  const auto events = *Read(Earliest());
  EXPECT_EQ(events[1].accept_time().seconds(), NowSeconds());
  EXPECT_EQ(events[0].accept_time().seconds(), NowSeconds() - 1);
}

TEST_P(LogContract, AcceptTimesNeverDecrease) {
  CONTRACT_NEEDS(test_clock);
  Accept("a");
  AdvanceSeconds(-3600);
  Accept("b");
  const auto events = *Read(Earliest());
  EXPECT_EQ(events[0].accept_time().seconds(), events[1].accept_time().seconds());
}

TEST_P(LogContract, PublishesARepeatedPostbackOnce) {
  const std::string cursor = Accept("a");
  for (int i = 0; i < 2; ++i) {
    const auto again = Append(EventOf("a"));
    ASSERT_THAT(again, IsOk());
    EXPECT_EQ(again->outcome, Receipt::Outcome::kDuplicate);
    EXPECT_EQ(again->cursor, cursor);
    Reopen();
  }
  EXPECT_THAT(ReadIds(Earliest()), ElementsAre("a"));
}

TEST_P(LogContract, PublishesARepetitionWithinOneAppendOnce) {
  std::vector<Entry> entries;
  for (const uint8_t content : {0, 0, 0}) entries.push_back(EventOf("a", content));
  const auto receipts = Append(std::move(entries));
  int accepted = 0;
  for (const auto& receipt : receipts) {
    ASSERT_THAT(receipt, IsOk());
    accepted += receipt->outcome == Receipt::Outcome::kAccepted ? 1 : 0;
    EXPECT_EQ(receipt->cursor, receipts[0]->cursor);
  }
  EXPECT_EQ(receipts.size(), 3u);
  EXPECT_EQ(accepted, 1);
  EXPECT_THAT(ReadIds(Earliest()), ElementsAre("a"));
}

TEST_P(LogContract, TheFirstOfOneAppendIsTheOneThatCounts) {
  CONTRACT_NEEDS(append_order);
  std::vector<Entry> entries;
  for (const uint8_t content : {0, 0, 1}) entries.push_back(EventOf("a", content));
  entries.push_back(EventOf("b"));
  const auto receipts = Append(std::move(entries));
  EXPECT_EQ(receipts[0]->outcome, Receipt::Outcome::kAccepted);
  EXPECT_EQ(receipts[1]->outcome, Receipt::Outcome::kDuplicate);
  EXPECT_EQ(receipts[2]->outcome, Receipt::Outcome::kConflict);
  EXPECT_EQ(receipts[2]->cursor, receipts[0]->cursor);
  EXPECT_THAT(ReadIds(Earliest()), ElementsAre("a", "b"));
}

TEST_P(LogContract, GivesBackTheSameIdWithOtherContent) {
  const std::string cursor = Accept("a");
  const auto conflict = Append(EventOf("a", 1));
  ASSERT_THAT(conflict, IsOk());
  EXPECT_EQ(conflict->outcome, Receipt::Outcome::kConflict);
  EXPECT_EQ(conflict->cursor, cursor);
  EXPECT_EQ(conflict->entry->body, "<a/>");
  EXPECT_EQ(conflict->entry->event, EventOf("a", 1).event);
  EXPECT_THAT(ReadIds(Earliest()), ElementsAre("a"));
}

TEST_P(LogContract, RemembersEachContentThatWasPublished) {
  std::vector<std::string> cursors = {Accept("a")};
  for (const uint8_t content : {1, 2}) {
    const auto forced = Append(ByForce(EventOf("a", content)));
    ASSERT_THAT(forced, IsOk());
    EXPECT_EQ(forced->outcome, Receipt::Outcome::kAccepted);
    cursors.push_back(forced->cursor);
  }
  for (int reopenings = 0; reopenings < 2; ++reopenings) {
    for (uint8_t content = 0; content < cursors.size(); ++content) {
      for (const Entry& entry : {EventOf("a", content), ByForce(EventOf("a", content))}) {
        const auto again = Append(entry);
        EXPECT_EQ(again->outcome, Receipt::Outcome::kDuplicate);
        EXPECT_EQ(again->cursor, cursors[content]);
      }
    }
    EXPECT_EQ(Append(EventOf("a", 77))->outcome, Receipt::Outcome::kConflict);
    Reopen();
  }
  EXPECT_THAT(ReadIds(Earliest()), ElementsAre("a", "a", "a"));
}

TEST_P(LogContract, DeliversTheSameAfterAReopening) {
  for (int i = 0; i < 100; ++i) Accept("id" + std::to_string(i));
  const auto before = *Read(Earliest());
  Reopen();
  const auto after = *Read(Earliest());
  ASSERT_EQ(before.size(), 100u);
  ASSERT_EQ(after.size(), 100u);
  for (size_t i = 0; i < after.size(); ++i)
    EXPECT_EQ(before[i].SerializeAsString(), after[i].SerializeAsString());
}

TEST_P(LogContract, TakesManyAppendsAtOnce) {
  std::vector<std::future<Receipts>> answers;
  for (int i = 0; i < 10; ++i) {
    std::vector<Entry> entries;
    entries.reserve(200);
    for (int j = 0; j < 200; ++j) entries.push_back(EventOf("id" + std::to_string(200 * i + j)));
    auto promise = std::make_shared<std::promise<Receipts>>();
    answers.push_back(promise->get_future());
    broker().Append(std::move(entries), [promise](Receipts receipts) -> Then {
      promise->set_value(std::move(receipts));
      return nullptr;
    });
  }
  for (auto& answer : answers) {
    const Receipts receipts = answer.get();
    ASSERT_EQ(receipts.size(), 200u);
    for (const auto& receipt : receipts) ASSERT_THAT(receipt, IsOk());
  }
  Settle();
  EXPECT_EQ(ReadIds(Earliest()).size(), 2000u);
  const LogStats stats = broker().Stats();
  EXPECT_EQ(stats.events_retained, 2000u);
  EXPECT_GE(stats.head - stats.oldest, 1999u);
  EXPECT_GT(stats.bytes_retained, 0u);
}

TEST_P(LogContract, StartsWhereItIsAskedTo) {
  const std::string before = broker().EarliestCursor();
  const std::string a = Accept("a"), b = Accept("b");
  EXPECT_THAT(ReadIds(After(before)), ElementsAre("a", "b"));
  EXPECT_THAT(ReadIds(After(broker().EarliestCursor())), ElementsAre("a", "b"));
  EXPECT_THAT(ReadIds(After(a)), ElementsAre("b"));
  EXPECT_THAT(ReadIds(After(b)), IsEmpty());
  EXPECT_THAT(ReadIds(Latest()), IsEmpty());
  auto feed = *OpenFeed(Latest());
  Accept("c");
  const auto events = Drain(*feed);
  ASSERT_THAT(events, IsOk());
  ASSERT_EQ(events->size(), 1u);
  EXPECT_EQ((*events)[0].mms_mo().tracking_id(), "c");
  EXPECT_EQ(feed->Cursor(), (*events)[0].cursor());
}

TEST_P(LogContract, StartsAtATime) {
  CONTRACT_NEEDS(test_clock);
  Accept("a");
  AdvanceSeconds(10);
  Accept("b");
  v1::StartPosition start;
  const int64_t b_seconds = NowSeconds();
  start.mutable_accept_time()->set_seconds(b_seconds);
  EXPECT_THAT(ReadIds(start), ElementsAre("b"));
  start.mutable_accept_time()->set_seconds(b_seconds - 10);
  EXPECT_THAT(ReadIds(start), ElementsAre("a", "b"));

  start.mutable_accept_time()->set_seconds(b_seconds + 10);
  auto feed = *OpenFeed(start);
  AdvanceSeconds(5);
  Accept("too early");
  AdvanceSeconds(5);
  Accept("in time");
  const auto events = Drain(*feed);
  ASSERT_THAT(events, IsOk());
  ASSERT_EQ(events->size(), 1u);
  EXPECT_EQ((*events)[0].mms_mo().tracking_id(), "in time");
}

TEST_P(LogContract, Filters) {
  v1::Filter filter;
  filter.add_keywords("Win");
  for (int i = 0; i < 20; ++i) Accept("id" + std::to_string(i), i % 10 == 3 ? "WIN" : "all");
  for (int reopenings = 0; reopenings < 2; ++reopenings) {
    EXPECT_THAT(ReadIds(Earliest(), filter), ElementsAre("id3", "id13"));
    auto feed = *OpenFeed(Earliest(), filter);
    ASSERT_THAT(Drain(*feed), IsOk());
    EXPECT_THAT(ReadIds(After(feed->Cursor())), IsEmpty()) << "it lies behind what does not match";
    feed.reset();
    Reopen();
  }
}

TEST_P(LogContract, KeepsBatchesWithinTheirLimits) {
  for (int i = 0; i < 10; ++i) Accept("id" + std::to_string(i));
  auto feed = *OpenFeed(Earliest());
  EXPECT_EQ(feed->Take({.max_events = 3, .max_bytes = 1 << 20})->count, 3);
  EXPECT_EQ(feed->Take({.max_events = 3, .max_bytes = 1})->count, 1);
  EXPECT_EQ(feed->Backlog(), 6);
  EXPECT_EQ(feed->Outstanding(), 0);
  const auto rest = *feed->Take({.max_events = 100, .max_bytes = 1 << 20});
  EXPECT_EQ(rest.count, 6);
  EXPECT_EQ(rest.left, Batch::Left::kNothing);
  EXPECT_EQ(rest.cursor, feed->Cursor());
}

TEST_P(LogContract, WakesWhoWaits) {
  std::atomic<int> replaced{0};
  std::promise<void> first, at_once, second;
  auto feed = *OpenFeed(Earliest());
  feed->Wait([&] { ++replaced; });
  feed->Wait([&] { first.set_value(); });
  Accept("a");
  first.get_future().wait();
  feed->Wait([&] { at_once.set_value(); });
  at_once.get_future().wait();
  ASSERT_THAT(Drain(*feed), IsOk());
  feed->Wait([&] { second.set_value(); });
  Accept("b");
  second.get_future().wait();
  EXPECT_EQ(replaced, 0) << "a second call replaces the first";
}

TEST_P(LogContract, WakesNobodyWhoIsGone) {
  std::atomic<int> wakes{0};
  auto feed = *OpenFeed(Latest());
  feed->Wait([&] { ++wakes; });
  feed.reset();
  Accept("a");
  EXPECT_EQ(wakes, 0);
}

TEST_P(LogContract, RefusesCursorsThatItCannotHonour) {
  const auto no_cursor = StatusIs(absl::StatusCode::kInvalidArgument, testing::_);
  EXPECT_THAT(Read(After("nonsense")), no_cursor);
  EXPECT_THAT(Read(After("")), no_cursor);
  EXPECT_THAT(broker().GetEvent("nonsense"), no_cursor);
  EXPECT_THAT(broker().GetRawPostback(""), no_cursor);
  EXPECT_THAT(broker().GetEvent(broker().EarliestCursor()), HasReason("CURSOR_EXPIRED"))
      << "there is no event";
}

TEST_P(LogContract, RefusesCursorsOfAnotherLog) {
  const auto other = GetParam().make();
  other->Open({});
  std::promise<std::string> promise;
  std::vector<Entry> one;
  one.push_back(EventOf("a"));
  other->broker().Append(std::move(one), [&](Receipts receipts) -> Then {
    promise.set_value(receipts[0]->cursor);
    return nullptr;
  });
  const std::string foreign = promise.get_future().get();
  Accept("a");
  Accept("b");
  const auto expired = Read(After(foreign));
  EXPECT_THAT(expired, StatusIs(absl::StatusCode::kOutOfRange, testing::_));
  EXPECT_THAT(expired, HasReason("CURSOR_EXPIRED"));
  EXPECT_THAT(ReadIds(After(MetadataOf(expired.status(), "earliest_cursor"))),
              ElementsAre("a", "b"));
  EXPECT_THAT(broker().GetEvent(foreign), HasReason("CURSOR_EXPIRED"));
  EXPECT_THAT(broker().GetRawPostback(foreign), HasReason("CURSOR_EXPIRED"));
}

TEST_P(LogContract, GivesAnEventAndItsRawBody) {
  Entry entry = EventOf("a");
  entry.content_encoding = "gzip";
  const std::string cursor = Append(entry)->cursor;
  for (int reopenings = 0; reopenings < 2; ++reopenings) {
    v1::Event event;
    ASSERT_TRUE(event.ParseFromString(*broker().GetEvent(cursor)));
    EXPECT_EQ(event.mms_mo().tracking_id(), "a");
    EXPECT_EQ(event.cursor(), cursor);
    const auto raw = broker().GetRawPostback(cursor);
    ASSERT_THAT(raw, IsOk());
    EXPECT_EQ(raw->body, "<a/>");
    EXPECT_EQ(raw->content_type, "text/xml");
    EXPECT_EQ(raw->content_encoding, "gzip");
    Reopen();
  }
}

TEST_P(LogContract, SaysSoWhereRawBodiesAreNotKept) {
  settings().keep_raw = false;
  Reopen();
  EXPECT_THAT(broker().GetRawPostback(Accept("a")),
              StatusIs(absl::StatusCode::kNotFound, testing::_));
}

TEST_P(LogContract, RetentionRemovesByAgeAndTellsWhoIsBehind) {
  CONTRACT_NEEDS(test_clock);
  settings().retention_age_micros = 3600ll * 1'000'000;
  Reopen();
  const auto await_retained = [this](uint64_t events) {
    Await([&] { return broker().Stats().events_retained == events; });
  };
  const std::string a = Accept("a"), b = Accept("b");
  auto feed = *OpenFeed(Earliest());
  AdvanceSeconds(3000);
  Accept("c");
  AdvanceSeconds(1000);
  await_retained(1);
  EXPECT_THAT(ReadIds(Earliest()), ElementsAre("c"));
  EXPECT_THAT(ReadIds(After(b)), ElementsAre("c"));
  EXPECT_THAT(Read(After(a)), HasReason("CURSOR_EXPIRED"));
  EXPECT_THAT(Drain(*feed), HasReason("CURSOR_EXPIRED"));
  EXPECT_THAT(broker().GetEvent(a), HasReason("CURSOR_EXPIRED"));
  EXPECT_THAT(broker().GetEvent(b), HasReason("CURSOR_EXPIRED"));
  EXPECT_THAT(broker().GetRawPostback(a), HasReason("CURSOR_EXPIRED"));
  EXPECT_EQ(Append(EventOf("a"))->outcome, Receipt::Outcome::kAccepted)
      << "remembered as long as the event";

  AdvanceSeconds(10'000);
  await_retained(0);
  feed.reset();
  Reopen();
  EXPECT_THAT(ReadIds(Earliest()), IsEmpty());
  Accept("d");
  EXPECT_THAT(broker().GetEvent(a), HasReason("CURSOR_EXPIRED")) << "no place is given twice";
  EXPECT_THAT(ReadIds(Earliest()), ElementsAre("d"));
}

}  // namespace
}  // namespace mmsmo::broker
