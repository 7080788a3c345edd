#include "client/command/http_client.h"

#include <gtest/gtest.h>

namespace mmsmo::command {
namespace {

TEST(ParseUrl, TakesHostsWithAndWithoutPorts) {
  const struct {
    std::string_view text, host, port, path;
  } kCases[] = {
      {"http://127.0.0.1:8080/postbacks/mms-mo", "127.0.0.1", "8080", "/postbacks/mms-mo"},
      {"http://gateway", "gateway", "80", "/"},
      {"http://[::1]:81/a?b=c:d", "::1", "81", "/a?b=c:d"},
      {"http://[::1]/", "::1", "80", "/"},
  };
  for (const auto& expected : kCases) {
    const auto url = ParseUrl(expected.text);
    ASSERT_TRUE(url.ok()) << expected.text;
    EXPECT_EQ(url->host, expected.host);
    EXPECT_EQ(url->port, expected.port);
    EXPECT_EQ(url->path, expected.path);
  }
}

TEST(ParseUrl, RefusesAnythingElse) {
  for (std::string_view text : {"", "127.0.0.1:8080", "ftp://a/", "http://", "https://",
                                "http://:80/", "http://a:b/", "http://a:/"}) {
    EXPECT_FALSE(ParseUrl(text).ok()) << text;
  }
}

TEST(ReadAnswer, TakesWhatIsThere) {
  const AnswerFields fields = ReadAnswer(R"({"outcome":"accepted","cursor":"AQ"})");
  EXPECT_EQ(fields.outcome, "accepted");
  EXPECT_EQ(fields.cursor, "AQ");
  EXPECT_EQ(ReadAnswer("nginx").outcome, "");
  EXPECT_EQ(ReadAnswer("[]").outcome, "");
}

}  // namespace
}  // namespace mmsmo::command
