// What leaves the shelves, how, and what is counted.

#include "gateway/embedded/quarantine/shelves.h"

#include <chrono>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "tests/embedded/engine.h"

namespace mmsmo::embedded {
namespace {

using broker::Receipt;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

class QuarantineShelvesTest : public testing::Test, protected Engine {
 protected:
  QuarantineShelvesTest() { Open(); }

  // The id of one that was kept because its tracking id has an event of other content.
  std::string KeepConflict(const std::string& tracking_id, uint8_t content) {
    auto receipt = Append(EventOf(tracking_id, content));
    EXPECT_THAT(receipt, IsOk());
    EXPECT_EQ(receipt->reason, "id_conflict");
    return receipt->quarantine_id;
  }
};

TEST_F(QuarantineShelvesTest, PublishesAndRemovesInOneCommit) {
  const std::string id = Keep("unknown_shape", "<a/>");
  const auto receipt = Append(Again(id, EventOf("a")));
  ASSERT_THAT(receipt, IsOk());
  EXPECT_EQ(receipt->outcome, Receipt::Outcome::kAccepted);
  EXPECT_THAT(ReadIds(Earliest()), ElementsAre("a"));
  EXPECT_EQ(broker().GetRawPostback(receipt->cursor)->body, "<a/>");
  EXPECT_THAT(Bodies(), IsEmpty());
  Reopen();
  EXPECT_THAT(ReadIds(Earliest()), ElementsAre("a"));
  EXPECT_THAT(Bodies(), IsEmpty());
  EXPECT_EQ(StatsOf(Shelf::kKept).count, 0u);
  EXPECT_EQ(Append(EventOf("a"))->outcome, Receipt::Outcome::kDuplicate);
}

TEST_F(QuarantineShelvesTest, RemovesWhatTurnsOutToBeADuplicate) {
  const std::string cursor = Append(EventOf("a"))->cursor;
  const std::string id = Keep("bad_xml", "<a/>", 400);
  const auto receipt = Append(Again(id, EventOf("a")));
  EXPECT_EQ(receipt->outcome, Receipt::Outcome::kDuplicate);
  EXPECT_EQ(receipt->cursor, cursor);
  EXPECT_THAT(Bodies(), IsEmpty());
  EXPECT_THAT(ReadIds(Earliest()), ElementsAre("a"));
}

TEST_F(QuarantineShelvesTest, LeavesAConflictWhereItIs) {
  ASSERT_THAT(Append(EventOf("a")), IsOk());
  const std::string id = KeepConflict("a", 1);
  const auto receipt = Append(Again(id, EventOf("a", 1)));
  EXPECT_EQ(receipt->outcome, Receipt::Outcome::kQuarantined);
  EXPECT_EQ(receipt->reason, "id_conflict");
  EXPECT_EQ(receipt->quarantine_id, id);
  EXPECT_EQ(StatsOf(Shelf::kKept).count, 1u);
  EXPECT_THAT(Bodies(), ElementsAre("<a/>"));
}

TEST_F(QuarantineShelvesTest, PublishesAConflictByForceOnce) {
  ASSERT_THAT(Append(EventOf("a")), IsOk());
  const std::string id = KeepConflict("a", 1), same = KeepConflict("a", 1);
  std::vector<broker::Entry> entries;
  entries.push_back(ByForce(Again(id, EventOf("a", 1))));
  entries.push_back(ByForce(Again(same, EventOf("a", 1))));
  const auto receipts = Append(std::move(entries));
  EXPECT_EQ(receipts[0]->outcome, Receipt::Outcome::kAccepted);
  EXPECT_EQ(receipts[1]->outcome, Receipt::Outcome::kDuplicate);
  EXPECT_EQ(receipts[1]->cursor, receipts[0]->cursor);
  EXPECT_THAT(Bodies(), IsEmpty());
  Reopen();
  EXPECT_THAT(ReadIds(Earliest()), ElementsAre("a", "a"));
  EXPECT_EQ(Append(EventOf("a", 1))->cursor, receipts[0]->cursor);
}

TEST_F(QuarantineShelvesTest, PublishesNothingThatHasGone) {
  const std::string discarded = Keep("bad_field", "1"), published = Keep("bad_field", "2");
  EXPECT_EQ(*Discard({discarded}), 1);
  EXPECT_THAT(Append(Again(discarded, EventOf("a"))), HasReason("not_quarantined"));
  // In one group: whoever is first decides.
  std::vector<broker::Entry> entries;
  entries.push_back(Again(published, EventOf("b")));
  entries.push_back(ByForce(Again(published, EventOf("b", 1))));
  entries.push_back({.quarantine_id = published});
  const auto receipts = Append(std::move(entries));
  EXPECT_THAT(receipts[0], IsOk());
  EXPECT_THAT(receipts[1], HasReason("not_quarantined"));
  EXPECT_THAT(receipts[2], HasReason("not_quarantined"));
  EXPECT_THAT(ReadIds(Earliest()), ElementsAre("b"));
  EXPECT_EQ(StatsOf(Shelf::kKept).count, 0u);
  EXPECT_EQ(StatsOf(Shelf::kKept).bytes, 0u);
}

TEST_F(QuarantineShelvesTest, CountsExactlyAcrossAReopening) {
  std::vector<std::string> ids(10);
  for (size_t i = 0; i < ids.size(); ++i) ids[i] = Keep("bad_xml", std::string(i, 'x'), 400);
  EXPECT_EQ(*Discard({ids[9], ids[2]}), 2);
  ASSERT_THAT(Append(Again(ids[5], EventOf("a"))), IsOk());
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(StatsOf(Shelf::kRejected).count, 7u);
    EXPECT_EQ(StatsOf(Shelf::kRejected).bytes, 45u - 9 - 2 - 5);
    EXPECT_EQ(StatsOf(Shelf::kRejected).dropped, 0u);
    EXPECT_THAT(Bodies(), SizeIs(7));
    Reopen();
  }
}

class QuarantineBudgetTest : public QuarantineShelvesTest {
 protected:
  QuarantineBudgetTest() {
    options().rejected_budget = {.count = 3, .bytes = 1000};
    options().not_mms_mo_budget = {.count = 100, .bytes = 10};
    options().kept_budget = {.count = 2, .bytes = 1000};
    Reopen();
  }
};

TEST_F(QuarantineBudgetTest, MakesRoomAmongTheRejected) {
  for (int i = 0; i < 5; ++i) EXPECT_THAT(Append(Rejected(400, "bad_xml", "body")), IsOk());
  EXPECT_EQ(StatsOf(Shelf::kRejected).count, 3u);
  EXPECT_EQ(StatsOf(Shelf::kRejected).dropped, 2u);
}

// What one commit has put there can be removed by the next one only.
TEST_F(QuarantineBudgetTest, GoesOverItsBudgetByOneGroup) {
  std::vector<broker::Entry> group;
  group.reserve(5);
  for (int i = 0; i < 5; ++i) group.push_back(Rejected(400, "bad_xml", std::to_string(i)));
  for (const auto& receipt : Append(std::move(group))) EXPECT_THAT(receipt, IsOk());
  EXPECT_EQ(StatsOf(Shelf::kRejected).count, 5u);
  EXPECT_THAT(Append(Rejected(400, "bad_xml", "5")), IsOk());
  EXPECT_THAT(Bodies(), ElementsAre("3", "4", "5"));
}

TEST_F(QuarantineBudgetTest, MakesRoomAmongOtherKindsByBytes) {
  for (int i = 0; i < 5; ++i) EXPECT_THAT(Append(Rejected(200, "not_mms_mo", "12345")), IsOk());
  EXPECT_EQ(StatsOf(Shelf::kNotMmsMo).count, 2u);
  EXPECT_EQ(StatsOf(Shelf::kNotMmsMo).bytes, 10u);
}

TEST_F(QuarantineBudgetTest, RefusesWhatItMayNotPushOut) {
  EXPECT_THAT(Append(Rejected(200, "missing_field", "1")), IsOk());
  EXPECT_THAT(Append(Rejected(200, "bad_field", "2")), IsOk());
  EXPECT_THAT(Append(Rejected(200, "bad_field", "3")), HasReason("quarantine_full"));
  EXPECT_THAT(Append(EventOf("a")), IsOk());
  Reopen();
  EXPECT_EQ(StatsOf(Shelf::kKept).count, 2u);
  EXPECT_THAT(Append(EventOf("a", 1)), HasReason("quarantine_full"));
}

TEST_F(QuarantineBudgetTest, MakesRoomBehindTheGapsOfDiscards) {
  std::vector<std::string> ids;
  for (const char* body : {"0", "1", "2"}) ids.push_back(Keep("bad_xml", body, 400));
  EXPECT_EQ(*Discard({ids[0], ids[1]}), 2);
  Keep("bad_xml", "3", 400);
  Keep("bad_xml", "4", 400);
  EXPECT_THAT(Bodies(), ElementsAre("2", "3", "4"));
  EXPECT_EQ(StatsOf(Shelf::kRejected).dropped, 0u);
  Reopen();
  Keep("bad_xml", "5", 400);
  EXPECT_THAT(Bodies(), ElementsAre("3", "4", "5"));
  EXPECT_EQ(StatsOf(Shelf::kRejected).dropped, 1u);
}

TEST_F(QuarantineBudgetTest, MakesRoomInTheGroupThatDiscards) {
  std::vector<std::string> ids;
  for (const char* body : {"0", "1", "2"}) ids.push_back(Keep("bad_xml", body, 400));
  std::vector<broker::Entry> entries;
  entries.push_back({.quarantine_id = ids[0]});
  for (const char* body : {"3", "4", "5"}) entries.push_back(Rejected(400, "bad_xml", body));
  entries.push_back(Again(ids[1], EventOf("dropped by the budget")));
  for (const auto& receipt : Append(std::move(entries)))
    EXPECT_TRUE(receipt.ok() || ReasonOf(receipt.status()) == "not_quarantined");
  EXPECT_THAT(Bodies(), ElementsAre("3", "4", "5"));
  EXPECT_THAT(ReadIds(Earliest()), IsEmpty());
  EXPECT_EQ(StatsOf(Shelf::kRejected).count, 3u);
  EXPECT_EQ(StatsOf(Shelf::kRejected).bytes, 3u);
  EXPECT_EQ(StatsOf(Shelf::kRejected).dropped, 2u);
}

TEST_F(QuarantineBudgetTest, DiscardsMakeRoomByBytes) {
  const std::string id = Keep("not_mms_mo", "12345");
  Keep("not_mms_mo", "67890");
  EXPECT_EQ(*Discard({id}), 1);
  Keep("not_mms_mo", "abcde");
  EXPECT_THAT(Bodies(), ElementsAre("67890", "abcde"));
  EXPECT_EQ(StatsOf(Shelf::kNotMmsMo).bytes, 10u);
}

TEST_F(QuarantineBudgetTest, DiscardsMakeRoomForWhatMayNotPushOut) {
  Keep("bad_field", "1");
  const std::string id = Keep("bad_field", "2");
  EXPECT_THAT(Append(Rejected(200, "bad_field", "3")), HasReason("quarantine_full"));
  EXPECT_EQ(*Discard({id}), 1);
  EXPECT_THAT(Append(Rejected(200, "bad_field", "3")), IsOk());
}

TEST_F(QuarantineShelvesTest, RemovesByAgeBehindTheGapsOfDiscards) {
  options().quarantine_age_micros = 3600ll * 1'000'000;
  Reopen();
  std::vector<std::string> ids;
  for (const char* body : {"0", "1", "2"}) ids.push_back(Keep("bad_field", body));
  clock().AdvanceSeconds(3000);
  Keep("bad_field", "3");
  EXPECT_EQ(*Discard({ids[0], ids[2]}), 2);
  clock().AdvanceSeconds(1000);
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (StatsOf(Shelf::kKept).count != 1 && std::chrono::steady_clock::now() < deadline)
    std::this_thread::yield();
  EXPECT_THAT(Bodies(), ElementsAre("3"));
  EXPECT_EQ(StatsOf(Shelf::kKept).count, 1u);
  EXPECT_EQ(StatsOf(Shelf::kKept).dropped, 1u);
}

}  // namespace
}  // namespace mmsmo::embedded
