#include "gateway/access/identity_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <fstream>

#include "gateway/base/status.h"
#include "tests/support/temp_dir.h"

namespace mmsmo::access {
namespace {

using testing::HasSubstr;

class IdentityFilesTest : public testing::Test {
 protected:
  IdentityFilesTest() {
    Write("a", "token of a");
    Write("b", "token of b");
  }

  std::string Path(const std::string& name) const { return dir_.path() + "/" + name; }
  void Write(const std::string& name, const std::string& content) {
    std::ofstream(Path(name), std::ios::binary) << content;
  }
  IdentitySettings Of(const std::string& name) const {
    return {.name = name, .tokens = {.files = {Path(name)}}, .allow = {"read"}};
  }
  void Open(std::vector<IdentitySettings> settings) {
    auto files = IdentityFiles::Open(std::move(settings), metrics_);
    ASSERT_TRUE(files.ok()) << files.status();
    files_ = *std::move(files);
  }
  // Whose the token is now; empty where it is nobody's.
  std::string Holder(std::string_view token) const {
    const auto identities = files_->identities();
    const Identity* const identity = identities->ByToken(token);
    return identity == nullptr ? "" : identity->name();
  }
  double Reloads(const std::string& result) {
    return metrics_.Counter("mmsmo_access_reloads_total", "", {{"result", result}}).Value();
  }

  TempDir dir_;
  Metrics metrics_;
  std::unique_ptr<IdentityFiles> files_;
};

TEST_F(IdentityFilesTest, AreReadAtTheStart) {
  Open({Of("a"), Of("b")});
  EXPECT_EQ(Holder("token of a"), "a");
  EXPECT_EQ(Holder("token of b"), "b");
  EXPECT_EQ(files_->Look(), nullptr);
}

TEST_F(IdentityFilesTest, GiveNewTokensWithoutLosingTheOthers) {
  Open({Of("a"), Of("b")});
  Write("a", "a new token of a");
  const auto changed = files_->Look();
  ASSERT_NE(changed, nullptr);
  EXPECT_EQ(changed, files_->identities());
  EXPECT_EQ(Holder("a new token of a"), "a");
  EXPECT_EQ(Holder("token of a"), "");
  EXPECT_EQ(Holder("token of b"), "b");
  EXPECT_EQ(Reloads("changed"), 1);
  EXPECT_EQ(files_->Look(), nullptr);
}

TEST_F(IdentityFilesTest, KeepTheOldTokenWhereTheNewOneIsBroken) {
  Open({Of("a"), Of("b")});
  Write("a", "");
  Write("b", "a new token of b");
  EXPECT_NE(files_->Look(), nullptr);
  EXPECT_EQ(Holder("token of a"), "a");
  EXPECT_EQ(Holder("a new token of b"), "b");
  std::remove(Path("a").c_str());
  EXPECT_EQ(files_->Look(), nullptr);
  EXPECT_EQ(files_->Look(), nullptr);
  EXPECT_EQ(Holder("token of a"), "a");
  EXPECT_EQ(Reloads("kept"), 2);  // once for each of the two ways
}

TEST_F(IdentityFilesTest, KeepTheOldTokenWhereTheNewOneIsAnothers) {
  Open({Of("a"), Of("b")});
  Write("b", "token of a");
  EXPECT_EQ(files_->Look(), nullptr);
  EXPECT_EQ(Holder("token of a"), "a");
  EXPECT_EQ(Holder("token of b"), "b");
  EXPECT_EQ(Reloads("kept"), 1);
}

TEST_F(IdentityFilesTest, AreReplacedAsAWholeOrNotAtAll) {
  Open({Of("a")});
  EXPECT_THAT(std::string(MessageOf(files_->Replace({Of("b"), Of("missing")}))),
              HasSubstr("identity 'missing': token-file: '"));
  EXPECT_EQ(Holder("token of a"), "a");
  EXPECT_EQ(Holder("token of b"), "");
  EXPECT_TRUE(files_->Replace({Of("b")}).ok());
  EXPECT_EQ(Holder("token of a"), "");
  EXPECT_EQ(Holder("token of b"), "b");
}

TEST_F(IdentityFilesTest, NameTheIdentityThatCannotBeRead) {
  const auto files = IdentityFiles::Open({Of("a"), Of("missing")}, metrics_);
  EXPECT_THAT(std::string(MessageOf(files.status())), HasSubstr("identity 'missing': token-file"));
}

}  // namespace
}  // namespace mmsmo::access
