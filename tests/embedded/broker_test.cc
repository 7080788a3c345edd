// What the embedded engine does with its log beyond what every engine promises, which
// tests/broker/contract holds.

#include "gateway/embedded/broker.h"

#include <string>
#include <vector>

#include "gateway/embedded/log/cursor.h"
#include "tests/embedded/engine.h"

namespace mmsmo::embedded {
namespace {

using broker::Receipt;
using testing::ElementsAre;

class EmbeddedBrokerTest : public testing::Test, protected Engine {
 protected:
  EmbeddedBrokerTest() { Open(); }
};

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

TEST_F(EmbeddedBrokerTest, CommitsAndScansAnyNumberInStepsOfALimitedSize) {
  std::vector<std::future<broker::Receipts>> answers;
  for (int i = 0; i < 10; ++i) {
    std::vector<broker::Entry> entries;
    entries.reserve(2000);
    for (int j = 0; j < 2000; ++j) entries.push_back(EventOf("id" + std::to_string(2000 * i + j)));
    auto promise = std::make_shared<std::promise<broker::Receipts>>();
    answers.push_back(promise->get_future());
    broker().Append(std::move(entries), [promise](broker::Receipts receipts) -> broker::Then {
      promise->set_value(std::move(receipts));
      return nullptr;
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

TEST_F(EmbeddedBrokerTest, RefusesCursorsOfPlacesThatItDoesNotHaveYet) {
  const std::string cursor = Accept("a");
  const EpochId epoch = DecodeCursor(cursor)->epoch;
  EXPECT_THAT(Read(After(EncodeCursor(epoch, 2))), HasReason("CURSOR_EXPIRED"));
  EXPECT_THAT(broker().GetEvent(EncodeCursor(epoch, 0)), HasReason("CURSOR_EXPIRED"));
}

}  // namespace
}  // namespace mmsmo::embedded
