#include "gateway/access/proxies.h"

#include <gtest/gtest.h>

#include "gateway/base/status.h"

namespace mmsmo::access {
namespace {

using Field = TrustedProxies::Field;

class ProxiesTest : public testing::Test {
 protected:
  std::string Client(Field field, const std::string& peer, const std::string& value) {
    proxies_.field = field;
    const auto client =
        ClientOf(proxies_, peer == "unix" ? std::nullopt : ParseAddress(peer), value);
    return client ? ToString(*client) : "unknown";
  }
  TrustedProxies proxies_ = *ParseTrustedProxies("10.0.0.0/8, 2001:db8::1, unix");
};

TEST_F(ProxiesTest, TheRightmostAddressThatIsNotTrustedCounts) {
  const struct {
    const char *peer, *value, *client;
  } kCases[] = {
      {"192.0.2.1", "203.0.113.1", "192.0.2.1"},  // a stranger's word
      {"10.0.0.1", "", "10.0.0.1"},
      {"10.0.0.1", "203.0.113.1", "203.0.113.1"},
      {"unix", "203.0.113.1", "203.0.113.1"},
      {"10.0.0.1", "8.8.8.8, 203.0.113.1", "203.0.113.1"},
      {"10.0.0.1", "8.8.8.8,203.0.113.1 , 10.9.9.9", "203.0.113.1"},
      {"10.0.0.1", "10.1.1.1, 10.9.9.9", "10.1.1.1"},
      {"2001:db8::1", "2001:db8::2", "2001:db8::2"},
      {"10.0.0.1", "203.0.113.1:8080", "203.0.113.1"},
      {"10.0.0.1", "[2001:db8::2]:8080", "2001:db8::2"},
      {"10.0.0.1", "203.0.113.1, unknown", "unknown"},
      {"10.0.0.1", "203.0.113.1,", "unknown"},
      {"10.0.0.1", "203.0.113.1:x", "unknown"},
  };
  for (const auto& one : kCases)
    EXPECT_EQ(Client(Field::kXForwardedFor, one.peer, one.value), one.client) << one.value;
}

TEST_F(ProxiesTest, ForwardedHasItsOwnSyntax) {
  const struct {
    const char *value, *client;
  } kCases[] = {
      {"for=203.0.113.1", "203.0.113.1"},
      {"For=\"203.0.113.1:80\";proto=https;by=10.0.0.1", "203.0.113.1"},
      {"by=10.0.0.1; for=\"[2001:db8::2]:4711\"", "2001:db8::2"},
      {"for=8.8.8.8, for=203.0.113.1, for=10.0.0.2", "203.0.113.1"},
      {"for=8.8.8.8, for=\"a, b\"", "unknown"},
      {"for=8.8.8.8;host=\"x, for=1.1.1.1\"", "8.8.8.8"},
      {"for=8.8.8.8;x=\", for=203.0.113.1", "unknown"},
      {"for=8.8.8.8;x=\", for=\"[2001:db8::2]:4711\"", "unknown"},
      {"for=8.8.8.8;x=\"\\, for=\"203.0.113.1\"", "unknown"},
      {"for=_hidden", "unknown"},
      {"for=unknown", "unknown"},
      {"proto=https", "unknown"},
      {"203.0.113.1", "unknown"},
      {"for=8.8.8.8;host=\"a\\\", for=1.1.1.1\"", "8.8.8.8"},
  };
  for (const auto& one : kCases)
    EXPECT_EQ(Client(Field::kForwarded, "10.0.0.1", one.value), one.client) << one.value;
}

TEST(TrustedProxies, AreAddressesAndRanges) {
  EXPECT_FALSE(ParseTrustedProxies("")->Trust(std::nullopt));
  EXPECT_FALSE(ParseTrustedProxies("10.0.0.0/8")->Trust(std::nullopt));
  EXPECT_TRUE(ParseTrustedProxies("unix")->Trust(std::nullopt));
  EXPECT_EQ(MessageOf(ParseTrustedProxies("10.0.0.0/8,host").status()),
            "'host' is neither an address nor a range such as 192.0.2.0/24");
  EXPECT_FALSE(ParseTrustedProxies("10.0.0.0/8,").ok());
}

}  // namespace
}  // namespace mmsmo::access
