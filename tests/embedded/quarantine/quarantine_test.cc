// The quarantine of the embedded engine beyond what every engine promises, which
// tests/broker/contract holds.

#include "gateway/embedded/quarantine/quarantine.h"

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "tests/embedded/engine.h"

namespace mmsmo::embedded {
namespace {

using testing::_;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::SizeIs;

class QuarantineTest : public testing::Test, protected Engine {
 protected:
  QuarantineTest() { Open(); }
};

TEST_F(QuarantineTest, KnowsNoIdThatItDidNotGive) {
  const std::string id = Keep("bad_xml", "<a", 400);
  const std::string other_shelf = "AQ" + id.substr(2), unknown_shelf = "Aw" + id.substr(2);
  const std::string number = id.substr(0, 11) + "C" + id.substr(12);
  const std::string opening = id.substr(0, 19) + (id[19] == 'A' ? "B" : "A");
  const std::string only_its_place = id.substr(0, 12);  // as older gateways named theirs
  for (const std::string& unknown : {number, other_shelf, unknown_shelf, opening, only_its_place}) {
    EXPECT_THAT(quarantine().Get(unknown), StatusIs(absl::StatusCode::kNotFound, HasSubstr("'")))
        << unknown;
    EXPECT_EQ(*Discard({unknown}), 0) << unknown;
  }
  EXPECT_EQ(StatsOf(Shelf::kRejected).count, 1u);
}

TEST_F(QuarantineTest, AnIdStandsForNothingThatARestoredCopyHasInItsPlace) {
  const std::string common = Keep("bad_field", "common");
  Close();
  const std::string data = options().data_dir;
  const std::string copy = data + "-copy";
  std::filesystem::copy(data, copy, std::filesystem::copy_options::recursive);
  Open();
  const std::string lost = Keep("bad_field", "lost");
  Close();
  options().data_dir = copy;
  Open();
  const std::string other = Keep("bad_field", "other");
  EXPECT_THAT(quarantine().Get(lost), StatusIs(absl::StatusCode::kNotFound, HasSubstr(lost)));
  EXPECT_EQ(*Discard({lost}), 0);
  EXPECT_THAT(Bodies(), ElementsAre("common", "other"));
  EXPECT_EQ(quarantine().Get(other)->body(), "other");
  EXPECT_EQ(*Discard({common, other}), 2);
}

TEST_F(QuarantineTest, ListsByShelfWhatCameAtTheSameTime) {
  Keep("missing_field", "3");
  Keep("not_mms_mo", "2");
  Keep("bad_xml", "1", 400);
  for (const int page_size : {1, 2, 3, 4})
    EXPECT_THAT(Bodies(page_size), ElementsAre("1", "2", "3")) << page_size;
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

TEST_F(QuarantineTest, RefusesATokenThatNoPageGave) {
  Keep("bad_xml", "1", 400);
  Keep("bad_xml", "2", 400);
  const std::string token = quarantine().List("", 1, "")->next_page_token();
  for (const std::string& bad : {token.substr(4), "B" + token.substr(1)}) {
    EXPECT_THAT(quarantine().List("", 1, bad),
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("next_page_token")))
        << bad;
  }
}

}  // namespace
}  // namespace mmsmo::embedded
