#include "gateway/base/phone_number.h"

#include <gtest/gtest.h>

namespace mmsmo {
namespace {

struct Case {
  std::string_view text;
  std::string_view digits;  // empty: no number
  bool has_plus;
};

constexpr Case kCases[] = {
    {"14082257140", "14082257140", false},
    {"+1 (408) 225-7140", "14082257140", true},
    {"1.408.225.7140", "14082257140", false},
    {"(+44) 20 7946 0958", "442079460958", true},
    {"14082257140/TYPE=PLMN", "14082257140", false},
    {"+14082257140/type=Plmn", "14082257140", true},
    {"0", "0", false},
    {"1+1", "11", false},
    {"99999999999999999999999999", "99999999999999999999999999", false},
    {"", "", false},
    {"+", "", false},
    {"/TYPE=PLMN", "", false},
    {"14082257140/TYPE=IPv4", "", false},
    {"14082257140/TYPE=PLMN/TYPE=PLMN", "", false},
    {"1408225714O", "", false},
    {"1\t1", "", false},
    {"a@b.example", "", false},
};

TEST(PhoneNumber, IsReadInAnySpelling) {
  for (const Case& one : kCases) {
    SCOPED_TRACE(one.text);
    const auto number = ReadPhoneNumber(one.text);
    ASSERT_EQ(number.has_value(), !one.digits.empty());
    EXPECT_EQ(AddressKey(one.text), number ? one.digits : one.text);
    if (!number) continue;
    EXPECT_EQ(number->digits, one.digits);
    EXPECT_EQ(number->has_plus, one.has_plus);
  }
}

}  // namespace
}  // namespace mmsmo
