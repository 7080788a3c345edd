#include "gateway/access/secret.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <fstream>

#include "gateway/base/status.h"
#include "tests/support/temp_dir.h"

namespace mmsmo::access {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class SecretReaderTest : public testing::Test {
 protected:
  std::string Write(const std::string& name, const std::string& content, mode_t mode = 0600) {
    std::string path = dir_.path() + "/" + name;
    std::ofstream(path, std::ios::binary) << content;
    chmod(path.c_str(), mode);
    return path;
  }

  TempDir dir_;
  SecretReader reader_;
};

TEST(Secret, IsOneOfThoseThatAreValid) {
  const std::vector<std::string> secrets = {"new", "older"};
  EXPECT_TRUE(IsOneOf(secrets, "new"));
  EXPECT_TRUE(IsOneOf(secrets, "older"));
  for (const char* none : {"", "ne", "neW", "newer", "older ", "oldest"})
    EXPECT_FALSE(IsOneOf(secrets, none)) << none;
  EXPECT_FALSE(IsOneOf({}, ""));
}

TEST(Secret, DigestIsSha256) {
  EXPECT_EQ(*ParseDigest("BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015ad"),
            DigestOf("abc"));
  for (const char* none : {"", "abc", "ba7816bf"}) {
    const auto parsed = ParseDigest(none);
    EXPECT_EQ(MessageOf(parsed.status()), "a SHA-256 has 64 hexadecimal digits");
  }
  EXPECT_FALSE(ParseDigest(std::string(64, 'g')).ok());
}

TEST_F(SecretReaderTest, ReadsFilesAndVariablesInTheirOrder) {
  setenv("MMSMO_TEST_SECRET", "from the environment", 1);
  const auto secrets = reader_.Read({.files = {Write("b", "second\n"), Write("a", "first\r\n")},
                                     .variables = {"MMSMO_TEST_SECRET"}});
  EXPECT_THAT(*secrets, ElementsAre("second", "first", "from the environment"));
  EXPECT_THAT(reader_.TakeWorldReadable(), IsEmpty());
}

TEST_F(SecretReaderTest, TakesOneNewlineAway) {
  EXPECT_THAT(*reader_.Read({.files = {Write("spaces", " s \n")}}), ElementsAre(" s "));
  EXPECT_FALSE(reader_.Read({.files = {Write("lines", "s\n\n")}}).ok());
}

TEST_F(SecretReaderTest, RefusesWhatIsNone) {
  const auto why = [&](const SecretSources& sources) {
    return std::string(MessageOf(reader_.Read(sources).status()));
  };
  unsetenv("MMSMO_TEST_SECRET");
  EXPECT_THAT(why({.files = {dir_.path() + "/missing"}}), HasSubstr("/missing' cannot be read"));
  EXPECT_THAT(why({.files = {Write("empty", "\n")}}), HasSubstr("/empty' is empty"));
  EXPECT_EQ(why({.variables = {"MMSMO_TEST_SECRET"}}),
            "the environment variable MMSMO_TEST_SECRET is not set");
  setenv("MMSMO_TEST_SECRET", "", 1);
  EXPECT_EQ(why({.variables = {"MMSMO_TEST_SECRET"}}),
            "the environment variable MMSMO_TEST_SECRET is empty");
}

TEST_F(SecretReaderTest, TellsOnceWhatEverybodyMayRead) {
  const std::string open = Write("open", "secret", 0644);
  for (int i = 0; i < 2; ++i) ASSERT_TRUE(reader_.Read({.files = {open}}).ok());
  EXPECT_THAT(reader_.TakeWorldReadable(), ElementsAre(open));
  ASSERT_TRUE(reader_.Read({.files = {open}}).ok());
  EXPECT_THAT(reader_.TakeWorldReadable(), IsEmpty());
}

}  // namespace
}  // namespace mmsmo::access
