#include "mmsmo/token.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <fstream>
#include <string>

#include "client/connection.h"
#include "tests/support/temp_dir.h"

namespace mmsmo {
namespace {

using testing::HasSubstr;

class TokenFileTest : public testing::Test {
 protected:
  void Write(const std::string& content) {
    std::ofstream(path() + ".new", std::ios::binary) << content;
    ASSERT_EQ(std::rename((path() + ".new").c_str(), path().c_str()), 0);
  }
  std::string path() const { return dir_.path() + "/token"; }

  TempDir dir_;
};

TEST(Token, IsOneLineOfVisibleAscii) {
  EXPECT_EQ((*Token::Of("a-token\r\n"))->Get(), "a-token");
  for (const char* none : {"", "\n", "a token", "a\nb", "t\xc3\xb6ken", "a\tb"}) {
    const auto token = Token::Of(none);
    EXPECT_EQ(token.status().code(), absl::StatusCode::kInvalidArgument) << none;
  }
}

TEST_F(TokenFileTest, IsReadAgainOnceItHasChanged) {
  Write("first\n");
  const auto token = *Token::FromFile(path());
  EXPECT_EQ(token->Get(), "first");
  Write("second\n");
  EXPECT_EQ(token->Get(), "second");
  Write("");
  EXPECT_EQ(token->Get(), "second");
  std::remove(path().c_str());
  EXPECT_EQ(token->Get(), "second");
  Write("third");
  EXPECT_EQ(token->Get(), "third");
}

TEST_F(TokenFileTest, SaysWhichFileCannotBeRead) {
  EXPECT_THAT(std::string(Token::FromFile(path()).status().message()), HasSubstr(path()));
}

TEST(Token, GoesUnencryptedToThisMachineOnly) {
  const auto token = *Token::Of("a-token");
  for (const char* target : {"127.0.0.1:9090", "localhost:9090", "[::1]:9090", "unix:/run/socket"})
    EXPECT_TRUE(CheckToken(target, false, token.get(), false).ok()) << target;
  for (const char* target : {"gateway.example:9090", "192.0.2.1:9090", "dns:///gateway:9090"}) {
    EXPECT_FALSE(CheckToken(target, false, token.get(), false).ok()) << target;
    EXPECT_TRUE(CheckToken(target, true, token.get(), false).ok()) << target;
    EXPECT_TRUE(CheckToken(target, false, token.get(), true).ok()) << target;
    EXPECT_TRUE(CheckToken(target, false, nullptr, false).ok()) << target;
  }
}

}  // namespace
}  // namespace mmsmo
