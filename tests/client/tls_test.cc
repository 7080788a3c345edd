#include "mmsmo/tls.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "client/command/http_client.h"
#include "tests/support/authority.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace mmsmo {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

class TlsTest : public testing::Test {
 protected:
  std::string Write(const std::string& name, const std::string& content) {
    std::ofstream(directory_ / name) << content;
    return directory_ / name;
  }

  const Authority authority_;
  const Identity identity_ = authority_.Issue();
  TempDir directory_;
};

TEST_F(TlsTest, ReadsWhatIsGiven) {
  const TlsOptions options{.ca = Write("ca", authority_.cert()),
                           .cert = Write("cert", identity_.cert),
                           .key = Write("key", identity_.key)};
  const auto texts = ReadTls(options);
  ASSERT_THAT(texts, IsOk());
  EXPECT_EQ(texts->ca, authority_.cert());
  EXPECT_EQ(texts->cert, identity_.cert);
  EXPECT_EQ(texts->key, identity_.key);
  EXPECT_THAT(TlsCredentials(options), IsOk());
  EXPECT_THAT(TlsCredentials({}), IsOk());  // whom the system trusts
}

TEST_F(TlsTest, NamesWhatIsWrong) {
  const auto refused = [](const TlsOptions& options) { return ReadTls(options).status(); };
  EXPECT_THAT(refused({.ca = directory_ / "none"}),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       AllOf(HasSubstr("ca: "), HasSubstr("/none' cannot be read"))));
  EXPECT_THAT(refused({.ca = directory_.path()}), Not(IsOk()));
  EXPECT_THAT(refused({.ca = Write("text", "secret")}),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       AllOf(HasSubstr("/text' is no PEM"), Not(HasSubstr("secret")))));
  for (const TlsOptions& half : {TlsOptions{.cert = "c"}, TlsOptions{.key = "k"}}) {
    EXPECT_THAT(refused(half), StatusIs(absl::StatusCode::kInvalidArgument,
                                        HasSubstr("cert and key go together")));
  }
}

TEST(TlsRemedy, KnowsWhatHelps) {
  EXPECT_THAT(TlsRemedy("Ssl handshake failed: SSL_ERROR_SSL: error:0A000086:SSL "
                        "routines::certificate verify failed"),
              HasSubstr("give its authority as ca"));
  EXPECT_THAT(TlsRemedy("Peer name x.example is not in peer certificate"),
              HasSubstr("server name"));
  EXPECT_EQ(TlsRemedy("the cursor is of another log"), "");
}

TEST(ParseUrl, KnowsHttps) {
  const auto url = command::ParseUrl("https://[::1]/postbacks");
  ASSERT_THAT(url, IsOk());
  EXPECT_TRUE(url->tls);
  EXPECT_EQ(url->host, "::1");
  EXPECT_EQ(url->port, "443");
  EXPECT_EQ(url->path, "/postbacks");
  EXPECT_FALSE(command::ParseUrl("http://h")->tls);
  EXPECT_EQ(command::ParseUrl("https://h:8443")->port, "8443");
}

}  // namespace
}  // namespace mmsmo
