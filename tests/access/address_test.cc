#include "gateway/access/address.h"

#include <gtest/gtest.h>

#include "gateway/base/status.h"

namespace mmsmo::access {
namespace {

bool Contains(const char* range, const char* address) {
  return AddressRange::Parse(range)->Contains(*ParseAddress(address));
}

TEST(Address, OfIpv4IsTheOneThatItMapsTo) {
  EXPECT_EQ(*ParseAddress("192.0.2.1"), *ParseAddress("::ffff:192.0.2.1"));
  EXPECT_EQ(ToString(*ParseAddress("::ffff:192.0.2.1")), "192.0.2.1");
  EXPECT_EQ(ToString(*ParseAddress("[2001:DB8:0::1]")), "2001:db8::1");
}

TEST(Address, IsNothingElse) {
  for (const char* none : {"", "host", "1.2.3", "1.2.3.4.5", "01.2.3.4", "1.2.3.4:80", "::1%lo",
                           "[::1", "2001:db8::g", " 1.2.3.4"}) {
    EXPECT_FALSE(ParseAddress(none)) << none;
  }
  EXPECT_FALSE(ParseAddress(std::string_view("1.2.3.4\0x", 9)));
}

TEST(Address, PartyIsOneOfIpv4AndA64OfIpv6) {
  EXPECT_EQ(PartyOf(*ParseAddress("192.0.2.1")), *ParseAddress("192.0.2.1"));
  EXPECT_EQ(PartyOf(*ParseAddress("2001:db8:1:2:3:4:5:6")), *ParseAddress("2001:db8:1:2::"));
}

TEST(AddressRange, ContainsItsAddresses) {
  EXPECT_TRUE(Contains("203.0.113.0/24", "203.0.113.255"));
  EXPECT_TRUE(Contains("203.0.113.0/24", "::ffff:203.0.113.7"));
  EXPECT_TRUE(Contains("::ffff:203.0.113.0/120", "203.0.113.7"));
  EXPECT_FALSE(Contains("203.0.113.0/24", "203.0.114.0"));
  EXPECT_TRUE(Contains("203.0.113.128/25", "203.0.113.200"));
  EXPECT_FALSE(Contains("203.0.113.128/25", "203.0.113.100"));
  EXPECT_TRUE(Contains("2001:db8::/32", "2001:db8:ffff::1"));
  EXPECT_FALSE(Contains("2001:db8::/32", "2001:db9::1"));
  EXPECT_TRUE(Contains("192.0.2.1", "192.0.2.1"));
  EXPECT_FALSE(Contains("192.0.2.1", "192.0.2.2"));
  EXPECT_TRUE(Contains("0.0.0.0/0", "8.8.8.8"));
  EXPECT_FALSE(Contains("0.0.0.0/0", "2001:db8::1"));
  EXPECT_TRUE(Contains("::/0", "2001:db8::1"));
}

TEST(AddressRange, NamesWhatIsNone) {
  const auto why = [](const char* text) {
    return std::string(MessageOf(AddressRange::Parse(text).status()));
  };
  EXPECT_EQ(why("x/8"), "'x/8' is neither an address nor a range such as 192.0.2.0/24");
  EXPECT_EQ(why("10.0.0.0/33"), "'10.0.0.0/33': the prefix must be of 0 to 32 bits");
  EXPECT_EQ(why("10.0.0.0/"), "'10.0.0.0/': the prefix must be of 0 to 32 bits");
  EXPECT_EQ(why("::/129"), "'::/129': the prefix must be of 0 to 128 bits");
  EXPECT_EQ(why("10.0.0.1/8"), "'10.0.0.1/8': the address has bits set beyond its prefix");
}

}  // namespace
}  // namespace mmsmo::access
