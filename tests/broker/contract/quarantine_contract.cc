// What was kept without being published: how it is shown and removed, and what makes room for it.

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "tests/broker/contract/contract.h"

namespace mmsmo::broker {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

TEST_P(QuarantineContract, GivesWhatWasKeptWithItsBody) {
  Entry entry = Rejected(400, "bad_xml", "<a");
  entry.content_type = "text/\xFF\x01;\tcharset=x";
  entry.content_encoding = "gzip";
  entry.verified_by = {"basic", "address"};
  entry.trace_parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  entry.tracking_id = "id";
  const auto receipt = Append(entry);
  ASSERT_THAT(receipt, IsOk());
  EXPECT_EQ(receipt->outcome, Receipt::Outcome::kQuarantined);
  for (int reopenings = 0; reopenings < 2; ++reopenings) {
    const auto quarantined = quarantine().Get(receipt->quarantine_id);
    ASSERT_THAT(quarantined, IsOk());
    EXPECT_EQ(quarantined->body(), "<a");
    const v1::QuarantinedPostback& postback = quarantined->postback();
    EXPECT_EQ(postback.id(), receipt->quarantine_id);
    EXPECT_EQ(postback.endpoint(), "mms-mo");
    EXPECT_EQ(postback.reason(), "bad_xml");
    EXPECT_EQ(postback.detail(), "why");
    EXPECT_EQ(postback.body_bytes(), 2);
    EXPECT_EQ(postback.http_status(), 400);
    EXPECT_EQ(postback.content_type(), "text/??;\tcharset=x") << "a protobuf string is UTF-8";
    EXPECT_EQ(postback.content_encoding(), "gzip");
    EXPECT_EQ(postback.trace_parent(), entry.trace_parent);
    EXPECT_THAT(postback.verified_by(), testing::ElementsAreArray(entry.verified_by));
    EXPECT_EQ(postback.tracking_id(), "id");
    if (beyond().test_clock) {
      EXPECT_EQ(postback.accept_time().seconds(), NowSeconds());
    }
    Reopen();
  }
  EXPECT_THAT(ReadIds(Earliest()), IsEmpty());
}

TEST_P(QuarantineContract, KnowsNoIdThatItDidNotGive) {
  const std::string id = Keep("bad_xml", "<a", 400);
  for (const std::string& unknown :
       {std::string(), std::string("nonsense"), id.substr(1), id + "A"}) {
    EXPECT_THAT(quarantine().Get(unknown), StatusIs(absl::StatusCode::kNotFound, HasSubstr("'")))
        << unknown;
    EXPECT_EQ(*Discard({unknown}), 0) << unknown;
  }
  EXPECT_EQ(StatsOf(Shelf::kRejected).count, 1u);
}

TEST_P(QuarantineContract, ListsTheOldestFirstOverAllShelves) {
  Keep("missing_field", "1");
  AdvanceSeconds(1);
  Keep("not_mms_mo", "2");
  AdvanceSeconds(1);
  Keep("bad_xml", "3", 400);
  AdvanceSeconds(1);
  Keep("missing_field", "4");
  for (const int page_size : {1, 2, 3, 4, 5})
    EXPECT_THAT(Bodies(page_size), ElementsAre("1", "2", "3", "4")) << page_size;
  EXPECT_THAT(Bodies(1, "missing_field"), ElementsAre("1", "4"));
  EXPECT_THAT(Bodies(1, "bad_json"), IsEmpty());
}

TEST_P(QuarantineContract, AWalkGivesOnceWhatIsThereAllTheWhile) {
  std::vector<std::string> ids(6);
  for (std::string& id : ids) id = Keep("bad_field", "body");
  std::vector<std::string> seen;
  std::string token;
  int pages = 0;
  do {
    const auto page = quarantine().List("", 2, token);
    ASSERT_THAT(page, IsOk());
    for (const auto& postback : page->postbacks()) seen.push_back(postback.id());
    token = page->next_page_token();
    if (pages++ == 0) {
      EXPECT_EQ(*Discard({ids[0], ids[1], ids[3]}), 3);
      Keep("not_mms_mo", "new");
    }
  } while (!token.empty());
  for (const int i : {2, 4, 5})
    EXPECT_EQ(std::count(seen.begin(), seen.end(), ids[static_cast<size_t>(i)]), 1) << i;
}

TEST_P(QuarantineContract, PagesHaveALimitInBytes) {
  for (int i = 0; i < 5; ++i) {
    auto entry = Rejected(200, "missing_field", std::to_string(i));
    entry.tracking_id.assign(1 << 20, 'x');
    ASSERT_THAT(Append(std::move(entry)), IsOk());
  }
  EXPECT_THAT(Bodies(), ElementsAre("0", "1", "2", "3", "4"));
}

TEST_P(QuarantineContract, RefusesATokenThatNoPageGave) {
  for (int i = 0; i < 3; ++i) Keep("bad_xml", "body", 400);
  const std::string token = quarantine().List("", 1, "")->next_page_token();
  ASSERT_NE(token, "");
  for (const std::string& bad : {std::string("?"), std::string("nonsense"), token + "A"}) {
    EXPECT_THAT(quarantine().List("", 1, bad),
                StatusIs(absl::StatusCode::kInvalidArgument, testing::_))
        << bad;
  }
}

TEST_P(QuarantineContract, DiscardsForGood) {
  const std::string a = Keep("bad_field", "12"), b = Keep("bad_field", "345");
  EXPECT_EQ(StatsOf(Shelf::kKept).count, 2u);
  EXPECT_EQ(StatsOf(Shelf::kKept).bytes, 5u);
  EXPECT_EQ(*Discard({}), 0);
  EXPECT_EQ(*Discard({a, a}), 1);
  EXPECT_EQ(*Discard({a, b}), 1);
  EXPECT_THAT(quarantine().Get(a), StatusIs(absl::StatusCode::kNotFound, HasSubstr(a)));
  EXPECT_EQ(StatsOf(Shelf::kKept).count, 0u);
  EXPECT_EQ(StatsOf(Shelf::kKept).bytes, 0u);
  EXPECT_EQ(StatsOf(Shelf::kKept).dropped, 0u);
  Reopen();
  EXPECT_THAT(Bodies(), IsEmpty());
  EXPECT_NE(Keep("bad_field", "6"), b) << "ids are never given twice";
}

TEST_P(QuarantineContract, TheOldestMakeRoomAmongWhatWasNotAnswered200) {
  settings().rejected = {.count = 3, .bytes = 1000};
  settings().not_mms_mo = {.count = 100, .bytes = 10};
  Reopen();
  for (int i = 0; i < 5; ++i) Keep("bad_xml", std::to_string(i), 400);
  for (const char* body : {"12345", "67890", "abcde"}) Keep("not_mms_mo", body);
  EXPECT_THAT(Bodies(10, "bad_xml"), ElementsAre("2", "3", "4"));
  EXPECT_THAT(Bodies(10, "not_mms_mo"), ElementsAre("67890", "abcde"));
  EXPECT_EQ(StatsOf(Shelf::kRejected).dropped, 2u);
  EXPECT_EQ(StatsOf(Shelf::kNotMmsMo).bytes, 10u);
}

TEST_P(QuarantineContract, NothingMakesRoomForWhatWasAnswered200) {
  settings().kept = {.count = 2, .bytes = 1000};
  Reopen();
  Keep("missing_field", "1");
  const std::string id = Keep("bad_field", "2");
  EXPECT_THAT(Append(Rejected(200, "bad_field", "3")), HasReason("quarantine_full"));
  EXPECT_THAT(Append(Rejected(400, "bad_xml", "4")), IsOk());
  Accept("a");
  Reopen();
  EXPECT_EQ(StatsOf(Shelf::kKept).count, 2u);
  EXPECT_THAT(Append(Rejected(200, "bad_field", "3")),
              StatusIs(absl::StatusCode::kResourceExhausted, testing::_));
  EXPECT_EQ(*Discard({id}), 1);
  Keep("bad_field", "3");
}

}  // namespace
}  // namespace mmsmo::broker
