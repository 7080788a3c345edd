// The use case over a real engine.

#include "gateway/ingest/reprocess.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "tests/embedded/engine.h"

namespace mmsmo::ingest {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class ReprocessTest : public testing::Test, protected embedded::Engine {
 protected:
  static constexpr const char* kTraceParent =
      "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

  ReprocessTest() { Open(); }

  static std::string Xml(const std::string& id, const std::string& subject = "hi") {
    return "<postback><code>N401</code><from>14082257140</from><to>28444</to><tracking-id>" + id +
           "</tracking-id><message-subject>" + subject + "</message-subject></postback>";
  }
  // The id of a body that yesterday's rules did not understand.
  std::string KeepBody(const std::string& body, const std::string& content_type = "text/xml",
                       const std::string& content_encoding = "") {
    auto entry = embedded::Rejected(400, "bad_xml", body);
    entry.content_type = content_type;
    entry.content_encoding = content_encoding;
    entry.trace_parent = kTraceParent;
    entry.verified_by = {"basic"};
    return Append(std::move(entry))->quarantine_id;
  }
  Reprocessed Reprocess(const std::vector<std::string>& ids, bool publish_conflicts = false) {
    std::promise<Reprocessed> promise;
    ingest::Reprocess(ids, publish_conflicts, /*act=*/nullptr, &broker(), &budget_,
                      [&promise](Reprocessed results) { promise.set_value(std::move(results)); });
    return promise.get_future().get();
  }
  ByteBudget budget_{1 << 30};
  std::vector<std::string> Left() {
    std::vector<std::string> ids;
    const auto page = broker().quarantine().List("", 1000, "");
    EXPECT_THAT(page, IsOk());
    for (const auto& postback : page->postbacks()) ids.push_back(postback.id());
    return ids;
  }
};

TEST_F(ReprocessTest, PublishesWhatIsUnderstoodNow) {
  const std::string id = KeepBody(Xml("A"));
  const auto results = Reprocess({id});
  ASSERT_THAT(results[0], IsOk());
  EXPECT_EQ(results[0]->id(), id);
  EXPECT_EQ(results[0]->outcome(), "accepted");
  EXPECT_EQ(results[0]->reason(), "");
  EXPECT_THAT(Left(), IsEmpty());
  const auto events = Read(Earliest());
  ASSERT_THAT(events, IsOk());
  ASSERT_EQ(events->size(), 1u);
  EXPECT_EQ((*events)[0].cursor(), results[0]->cursor());
  EXPECT_EQ((*events)[0].endpoint(), "mms-mo");
  EXPECT_EQ((*events)[0].mms_mo().subject(), "hi");
  EXPECT_EQ((*events)[0].trace_parent(), kTraceParent);
  EXPECT_THAT((*events)[0].verified_by(), ElementsAre("basic"));
  EXPECT_EQ(broker().GetRawPostback(results[0]->cursor())->body, Xml("A"));
  auto again = embedded::EventOf("A", 7);
  again.key = broker::MakePostbackKey("mms-mo", "A", "28444");
  EXPECT_EQ(Append(std::move(again))->cursor, results[0]->cursor()) << "it is remembered";
}

TEST_F(ReprocessTest, JudgesWithEverythingThatThePostbackCameWith) {
  const std::string id = KeepBody(Xml("A"), "text/xml", "br");
  const auto results = Reprocess({id});
  EXPECT_EQ(results[0]->outcome(), "quarantined");
  EXPECT_EQ(results[0]->reason(), "unsupported_media_type");
  EXPECT_THAT(Left(), ElementsAre(id));
}

// As where the process ended between the two.
TEST_F(ReprocessTest, RemovesWhatWasPublishedBefore) {
  const std::string first = KeepBody(Xml("A")), second = KeepBody(Xml("A"));
  const std::string cursor = Reprocess({first})[0]->cursor();
  Reopen();
  const auto results = Reprocess({second});
  EXPECT_EQ(results[0]->outcome(), "duplicate");
  EXPECT_EQ(results[0]->cursor(), cursor);
  EXPECT_THAT(Left(), IsEmpty());
}

TEST_F(ReprocessTest, TakesAboutAMebibyteAtOnce) {
  std::vector<std::string> ids;
  ids.reserve(5);
  for (int i = 0; i < 5; ++i) ids.push_back(KeepBody("<a>" + std::string(500'000, 'x')));
  EXPECT_EQ(Reprocess(ids).size(), 3u);
}

TEST_F(ReprocessTest, TakesNoMoreThanTheBudgetHasRoomFor) {
  const std::vector<std::string> ids = {KeepBody(Xml("A", std::string(20'000, 'x'))),
                                        KeepBody(Xml("B", std::string(20'000, 'x')))};
  ByteBudget::Part taken(&budget_);
  taken.Insist((1 << 30) - 60'000);
  const auto first = Reprocess(ids);
  ASSERT_EQ(first.size(), 1u);
  EXPECT_EQ(first[0]->outcome(), "accepted");
  EXPECT_EQ(budget_.held(), (1 << 30) - 60'000) << "it is given back";
  taken.Insist(1 << 30);
  const auto second = Reprocess({ids[1]});
  ASSERT_EQ(second.size(), 1u);
  EXPECT_THAT(second[0], HasReason("overloaded"));
  EXPECT_THAT(Left(), ElementsAre(ids[1]));
  EXPECT_THAT(ReadIds(Earliest()), ElementsAre("A"));
}

TEST_F(ReprocessTest, SaysWhyOneStays) {
  const struct {
    std::string body, content_type, reason;
  } kCases[] = {
      {"<a", "text/xml", "bad_xml"},
      {"hello", "text/plain", "unsupported_media_type"},
      {"hello", "application/json", "bad_json"},
      {"<postback><code>N401</code><from>1</from></postback>", "text/xml", "missing_field"},
      {"<postback><code>N101</code></postback>", "", "not_mms_mo"},
  };
  std::vector<std::string> ids;
  for (const auto& one : kCases) ids.push_back(KeepBody(one.body, one.content_type));
  const auto results = Reprocess(ids);
  for (size_t i = 0; i < ids.size(); ++i) {
    ASSERT_THAT(results[i], IsOk());
    EXPECT_EQ(results[i]->id(), ids[i]);
    EXPECT_EQ(results[i]->outcome(), "quarantined");
    EXPECT_EQ(results[i]->reason(), kCases[i].reason);
  }
  EXPECT_EQ(Left(), ids);
  EXPECT_THAT(ReadIds(Earliest()), IsEmpty());
}

TEST_F(ReprocessTest, PublishesConflictsOnlyWhenAskedTo) {
  const std::string first = KeepBody(Xml("A")), conflict = KeepBody(Xml("A", "other"));
  auto results = Reprocess({first, conflict});
  EXPECT_EQ(results[0]->outcome(), "accepted");
  EXPECT_EQ(results[1]->outcome(), "quarantined");
  EXPECT_EQ(results[1]->reason(), "id_conflict");
  EXPECT_EQ(results[1]->cursor(), "");
  EXPECT_THAT(Left(), ElementsAre(conflict));

  results = Reprocess({conflict}, /*publish_conflicts=*/true);
  EXPECT_EQ(results[0]->outcome(), "accepted");
  const std::string again = KeepBody(Xml("A")), other = KeepBody(Xml("A", "other"));
  const std::string cursor = results[0]->cursor();
  results = Reprocess({again, other}, /*publish_conflicts=*/true);
  EXPECT_EQ(results[0]->outcome(), "duplicate");
  EXPECT_EQ(results[1]->outcome(), "duplicate");
  EXPECT_EQ(results[1]->cursor(), cursor);
  EXPECT_THAT(Left(), IsEmpty());
  EXPECT_THAT(ReadIds(Earliest()), ElementsAre("A", "A"));
}

TEST_F(ReprocessTest, FindsDuplicatesAmongThoseThatItPublishes) {
  const std::string a = KeepBody(Xml("A")), broken = KeepBody("<a"), again = KeepBody(Xml("A"));
  const auto results = Reprocess({a, broken, again});
  EXPECT_EQ(results[0]->outcome(), "accepted");
  EXPECT_EQ(results[1]->outcome(), "quarantined");
  EXPECT_EQ(results[2]->outcome(), "duplicate");
  EXPECT_EQ(results[2]->cursor(), results[0]->cursor());
  EXPECT_THAT(Left(), ElementsAre(broken));
}

TEST_F(ReprocessTest, PassesOverWhatIsNotThere) {
  const std::string a = KeepBody(Xml("A"));
  const auto results = Reprocess({"unknown", a, a});
  EXPECT_THAT(results[0], StatusIs(absl::StatusCode::kNotFound, HasSubstr("unknown")));
  EXPECT_THAT(results[1], IsOk());
  EXPECT_THAT(results[2], StatusIs(absl::StatusCode::kNotFound, HasSubstr("quarantine")));
  EXPECT_THAT(ReadIds(Earliest()), ElementsAre("A"));
  EXPECT_THAT(Reprocess({}), IsEmpty());
}

}  // namespace
}  // namespace mmsmo::ingest
