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

using testing::ElementsAre;
using testing::SizeIs;

class QuarantineShelvesTest : public testing::Test, protected Engine {
 protected:
  QuarantineShelvesTest() { Open(); }
};

TEST_F(QuarantineShelvesTest, CountsExactlyAcrossAReopening) {
  std::vector<std::string> ids(10);
  for (size_t i = 0; i < ids.size(); ++i) ids[i] = Keep("bad_xml", std::string(i, 'x'), 400);
  EXPECT_EQ(*Discard({ids[9], ids[2], ids[9]}), 2);
  EXPECT_EQ(*Discard({ids[5], ids[2]}), 1);
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

TEST_F(QuarantineBudgetTest, DiscardsMakeRoomByBytes) {
  const std::string id = Keep("not_mms_mo", "12345");
  Keep("not_mms_mo", "67890");
  EXPECT_EQ(*Discard({id}), 1);
  Keep("not_mms_mo", "abcde");
  EXPECT_THAT(Bodies(), ElementsAre("67890", "abcde"));
  EXPECT_EQ(StatsOf(Shelf::kNotMmsMo).bytes, 10u);
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
