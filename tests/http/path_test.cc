#include "gateway/http/path.h"

#include <gtest/gtest.h>

namespace mmsmo::http {
namespace {

TEST(NormalPath, DecodesWhatNeedNotBeEncodedAndLeavesOutOneSlash) {
  const struct {
    const char* path;
    const char* normal;
  } kCases[] = {{"/", "/"},
                {"", ""},
                {"*", "*"},
                {"/a", "/a"},
                {"/a/", "/a"},
                {"/a//", "/a/"},
                {"/%61%7A%41%5a%30%2d%2E%5f%7e", "/azAZ0-._~"},
                {"/a%2Fb", "/a%2Fb"},
                {"/a%2fb%3f", "/a%2Fb%3F"},
                {"/a%2F", "/a%2F"},
                {"/%2561", "/%2561"},  // decoded once, not twice
                {"/%C3%A9%00", "/%C3%A9%00"},
                {"/%", "/%"},
                {"/%6", "/%6"},
                {"/%6g", "/%6g"},
                {"/%-1", "/%-1"},
                {"/A", "/A"}};
  for (const auto& expected : kCases) EXPECT_EQ(NormalPath(expected.path), expected.normal);
}

}  // namespace
}  // namespace mmsmo::http
