#include "gateway/embedded/quarantine/quarantine.h"

#include <string>
#include <utility>
#include <vector>

#include "tests/embedded/engine.h"

namespace mmsmo::embedded {
namespace {

using testing::_;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

class QuarantineTest : public testing::Test, protected Engine {
 protected:
  QuarantineTest() { Open(); }
};

TEST_F(QuarantineTest, GivesWhatWasKeptWithItsBody) {
  const std::string id = Keep("bad_xml", "<a", 400);
  const auto quarantined = quarantine().Get(id);
  ASSERT_THAT(quarantined, IsOk());
  EXPECT_EQ(quarantined->body(), "<a");
  const v1::QuarantinedPostback& postback = quarantined->postback();
  EXPECT_EQ(postback.id(), id);
  EXPECT_EQ(postback.endpoint(), "mms-mo");
  EXPECT_EQ(postback.reason(), "bad_xml");
  EXPECT_EQ(postback.detail(), "why");
  EXPECT_EQ(postback.body_bytes(), 2);
  EXPECT_EQ(postback.http_status(), 400);
  EXPECT_EQ(postback.accept_time().seconds(), clock().NowMicros() / 1'000'000);
}

TEST_F(QuarantineTest, KnowsNoIdThatItDidNotGive) {
  const std::string id = Keep("bad_xml", "<a", 400);
  const std::string other_shelf = "AQ" + id.substr(2), unknown_shelf = "Aw" + id.substr(2);
  for (const std::string& unknown : {std::string(), std::string("nonsense"), id.substr(1), id + "A",
                                     id.substr(0, 11) + "C", other_shelf, unknown_shelf}) {
    EXPECT_THAT(quarantine().Get(unknown), StatusIs(absl::StatusCode::kNotFound, HasSubstr("'")))
        << unknown;
    EXPECT_EQ(*Discard({unknown}), 0) << unknown;
  }
  EXPECT_EQ(StatsOf(Shelf::kRejected).count, 1u);
}

TEST_F(QuarantineTest, KeepsContentTypesThatAreNoText) {
  auto entry = Rejected(415, "unsupported_media_type", "body");
  entry.content_type = "text/\xFF\x01;\tcharset=x";
  const std::string id = Append(std::move(entry))->quarantine_id;
  EXPECT_EQ(quarantine().Get(id)->postback().content_type(), "text/??;\tcharset=x");
  EXPECT_THAT(Bodies(), ElementsAre("body"));
}

TEST_F(QuarantineTest, KeepsWhatAPostbackCameWith) {
  auto entry = Rejected(415, "unsupported_media_type", "body");
  entry.content_encoding = "gzip";
  entry.trace_parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  entry.tracking_id = "id";
  const auto postback = quarantine().Get(Append(entry)->quarantine_id)->postback();
  EXPECT_EQ(postback.content_encoding(), "gzip");
  EXPECT_EQ(postback.trace_parent(), entry.trace_parent);
  EXPECT_EQ(postback.tracking_id(), "id");
}

TEST_F(QuarantineTest, ListsTheOldestFirstOverAllShelves) {
  Keep("missing_field", "1");
  clock().AdvanceSeconds(1);
  Keep("not_mms_mo", "2");
  clock().AdvanceSeconds(1);
  Keep("bad_xml", "3", 400);
  clock().AdvanceSeconds(1);
  Keep("missing_field", "5");
  Keep("bad_xml", "4", 400);  // at the same time: by id
  for (const int page_size : {1, 2, 3, 5, 6})
    EXPECT_THAT(Bodies(page_size), ElementsAre("1", "2", "3", "4", "5")) << page_size;
  EXPECT_THAT(Bodies(1, "missing_field"), ElementsAre("1", "5"));
  EXPECT_THAT(Bodies(1, "bad_json"), IsEmpty());
}

TEST_F(QuarantineTest, ThePageThatTakesTheLastIsTheLast) {
  Keep("bad_xml", "1", 400);
  Keep("bad_xml", "2", 400);
  EXPECT_EQ(quarantine().List("", 2, "")->next_page_token(), "");
  EXPECT_NE(quarantine().List("", 1, "")->next_page_token(), "");
}

TEST_F(QuarantineTest, PagesHoldStillWhileOthersComeAndGo) {
  std::vector<std::string> ids(6);
  for (std::string& id : ids) id = Keep("bad_field", "body");
  auto page = quarantine().List("", 2, "");
  EXPECT_EQ(*Discard({ids[0], ids[1], ids[3]}), 3);
  Keep("not_mms_mo", "new");
  page = quarantine().List("", 3, page->next_page_token());
  ASSERT_THAT(page, IsOk());
  std::vector<std::string> left;
  for (const auto& postback : page->postbacks()) left.push_back(postback.id());
  // The new one came at the same time, and shelves have an order.
  EXPECT_THAT(left, ElementsAre(_, ids[2], ids[4]));
  page = quarantine().List("", 3, page->next_page_token());
  ASSERT_THAT(page->postbacks(), SizeIs(1));
  EXPECT_EQ(page->postbacks(0).id(), ids[5]);
}

TEST_F(QuarantineTest, PagesHaveALimitInBytes) {
  for (int i = 0; i < 5; ++i) {
    auto entry = Rejected(200, "missing_field", std::to_string(i));
    entry.tracking_id.assign(1 << 20, 'x');
    ASSERT_THAT(Append(std::move(entry)), IsOk());
  }
  const auto page = quarantine().List("", 1000, "");
  EXPECT_THAT(page->postbacks(), SizeIs(2));
  EXPECT_LT(page->ByteSizeLong(), size_t{4} << 20);
  EXPECT_THAT(Bodies(), ElementsAre("0", "1", "2", "3", "4"));
}

TEST_F(QuarantineTest, RefusesATokenThatNoPageGave) {
  Keep("bad_xml", "1", 400);
  Keep("bad_xml", "2", 400);
  const std::string token = quarantine().List("", 1, "")->next_page_token();
  for (const std::string& bad : {std::string("?"), std::string("nonsense"), token + "A",
                                 token.substr(4), "B" + token.substr(1)}) {
    EXPECT_THAT(quarantine().List("", 1, bad),
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("next_page_token")))
        << bad;
  }
}

TEST_F(QuarantineTest, DiscardsForGood) {
  const std::string a = Keep("bad_field", "12"), b = Keep("bad_field", "345");
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

}  // namespace
}  // namespace mmsmo::embedded
