// What an earlier version has left in the log, whose keys and contents were made by other rules.

#include <string>
#include <utility>

#include "tests/embedded/engine.h"

namespace mmsmo::embedded {
namespace {

using broker::Entry;
using testing::ElementsAre;
using Outcome = broker::Receipt::Outcome;

Entry EntryOf(const std::string& id, const std::string& recipient, uint8_t version) {
  Entry entry = EventOf(id);
  v1::Event event;
  event.ParseFromString(entry.event);
  event.mutable_mms_mo()->mutable_recipient()->set_value(recipient);
  entry.event = event.SerializeAsString();
  entry.content[0] = version;
  return entry;
}

// As a version before this would have stored it.
Entry Earlier(const std::string& id, const std::string& recipient, uint8_t facts) {
  Entry entry = EntryOf(id, recipient, 1);
  entry.content[1] = facts;
  return entry;
}

// The same postback now; of the facts, the earlier version covered `earlier_facts`.
Entry Now(const std::string& id, const std::string& recipient, uint8_t earlier_facts,
          uint8_t facts = 0) {
  Entry entry = EntryOf(id, recipient, broker::kContentVersion);
  entry.content[1] = earlier_facts;
  entry.content[2] = facts;
  entry.earlier_key = entry.key;
  entry.earlier_content[0] = 1;
  entry.earlier_content[1] = earlier_facts;
  entry.key = broker::MakePostbackKey("mms-mo", id, recipient);
  return entry;
}

class EarlierEventsTest : public testing::Test, protected Engine {
 protected:
  // A log that an earlier version wrote.
  void SetUp() override {
    Open();
    for (const char* id : {"a", "b"}) cursors_[id[0] - 'a'] = AppendEarlier(id);
    Reopen();
  }
  std::string AppendEarlier(const std::string& id) {
    return Append(Earlier(id, "28444", 1))->cursor;
  }
  Outcome OutcomeOf(Entry entry) { return Append(std::move(entry))->outcome; }

  std::string cursors_[2];
};

TEST_F(EarlierEventsTest, AreRepeated) {
  for (int opened = 0; opened < 3; ++opened) {
    const auto repeated = Append(Now("a", "28444", 1));
    EXPECT_EQ(repeated->outcome, Outcome::kDuplicate);
    EXPECT_EQ(repeated->cursor, cursors_[0]);
    EXPECT_EQ(OutcomeOf(Now("b", "28444", 1, 5)), Outcome::kDuplicate)
        << "what it did not cover is no difference";
    EXPECT_EQ(OutcomeOf(Now("new" + std::to_string(opened), "28444", 1)), Outcome::kAccepted);
    Reopen();
  }
}

TEST_F(EarlierEventsTest, AreInConflictWithOtherContent) {
  const auto conflict = Append(Now("a", "28444", 2));
  EXPECT_EQ(conflict->outcome, Outcome::kConflict);
  EXPECT_EQ(conflict->cursor, cursors_[0]);
  EXPECT_EQ(OutcomeOf(Now("a", "28444/TYPE=PLMN", 2)), Outcome::kConflict)
      << "the recipient is the same however it is spelt";
}

TEST_F(EarlierEventsTest, AreOthersThanThoseToAnotherRecipient) {
  EXPECT_EQ(OutcomeOf(Now("a", "12345", 2)), Outcome::kAccepted);
  EXPECT_EQ(OutcomeOf(Now("a", "12345", 2)), Outcome::kDuplicate);
  EXPECT_EQ(OutcomeOf(Now("a", "28444", 1)), Outcome::kDuplicate);
  EXPECT_THAT(ReadIds(Earliest()), ElementsAre("a", "b", "a"));
}

TEST_F(EarlierEventsTest, AreRepeatedAlsoAfterAConflictWasPublished) {
  EXPECT_EQ(OutcomeOf(ByForce(Now("a", "28444", 2))), Outcome::kAccepted);
  for (int opened = 0; opened < 2; ++opened) {
    EXPECT_EQ(OutcomeOf(Now("a", "28444", 1)), Outcome::kDuplicate);
    EXPECT_EQ(OutcomeOf(Now("a", "28444", 2)), Outcome::kDuplicate);
    EXPECT_EQ(OutcomeOf(Now("a", "28444", 3)), Outcome::kConflict);
    Reopen();
  }
}

TEST_F(EarlierEventsTest, AreFoundAmongThoseThatWerePublishedInSpiteOfEachOther) {
  ASSERT_EQ(OutcomeOf(ByForce(Earlier("a", "12345", 2))), Outcome::kAccepted);
  Reopen();
  EXPECT_EQ(OutcomeOf(Now("a", "28444", 1)), Outcome::kDuplicate);
  EXPECT_EQ(OutcomeOf(Now("a", "12345", 2)), Outcome::kDuplicate);
  EXPECT_EQ(OutcomeOf(Now("a", "28444", 3)), Outcome::kConflict);
  EXPECT_EQ(OutcomeOf(Now("a", "111111", 3)), Outcome::kAccepted);
}

// Whoever goes back to the version before, and forth again.
TEST_F(EarlierEventsTest, MayComeAfterNewOnes) {
  ASSERT_EQ(OutcomeOf(Now("c", "28444", 1)), Outcome::kAccepted);
  Reopen();
  ASSERT_EQ(OutcomeOf(Earlier("d", "28444", 1)), Outcome::kAccepted);
  Reopen();
  EXPECT_EQ(OutcomeOf(Now("e", "28444", 1)), Outcome::kAccepted);
  for (int opened = 0; opened < 2; ++opened) {
    for (const char* id : {"a", "c", "d"})
      EXPECT_EQ(OutcomeOf(Now(id, "28444", 1)), Outcome::kDuplicate) << id;
    Reopen();
  }
}

TEST_F(EarlierEventsTest, AreForgottenWithTheirEvents) {
  Close();
  options().retention_age_micros = 3600ll * 1'000'000;
  Open();
  clock().AdvanceSeconds(7200);
  Await([&] { return broker().Stats().events_retained == 0; });
  EXPECT_EQ(OutcomeOf(Now("a", "28444", 2)), Outcome::kAccepted);
  EXPECT_EQ(OutcomeOf(Now("a", "28444", 2)), Outcome::kDuplicate);
}

}  // namespace
}  // namespace mmsmo::embedded
