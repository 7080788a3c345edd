#include "gateway/postback/address.h"

#include <gtest/gtest.h>

namespace mmsmo::postback {
namespace {

struct Case {
  std::string_view text;
  v1::AddressKind kind;
  std::string_view e164;
  bool is_number;
};

constexpr auto kNone = v1::ADDRESS_KIND_UNSPECIFIED;
constexpr auto kShort = v1::ADDRESS_KIND_SHORT_CODE;
constexpr auto kLong = v1::ADDRESS_KIND_LONG_CODE;
constexpr auto kFree = v1::ADDRESS_KIND_TOLL_FREE;
constexpr auto kInternational = v1::ADDRESS_KIND_INTERNATIONAL;

constexpr Case kCases[] = {
    {"28444", kShort, "", true},
    {"123", kShort, "", true},
    {"111111", kShort, "", true},
    {"12", kNone, "", true},
    {"1234567", kNone, "", true},
    {"14082257140", kLong, "+14082257140", true},
    {"+1 (408) 225-7140", kLong, "+14082257140", true},
    {"1.408.225.7140", kLong, "+14082257140", true},
    {"18005551234", kFree, "+18005551234", true},
    {"18885551234", kFree, "+18885551234", true},
    {"18225551234", kLong, "+18225551234", true},
    {"11082257140", kNone, "", true},   // N is 2 to 9
    {"14081257140", kNone, "", true},   // likewise
    {"1408225714", kNone, "", true},    // 10 digits that begin with 1
    {"140822571400", kNone, "", true},  // 12
    {"442079460958", kInternational, "+442079460958", true},
    {"+4532123456", kInternational, "+4532123456", true},  // of any length
    {"+45 32 12 34 56", kInternational, "+4532123456", true},
    {"4532123456", kNone, "", true},
    {"+44 (0)20 7946 0958", kInternational, "+442079460958", true},
    {"+290 22158", kInternational, "+29022158", true},
    {"+442079460958/TYPE=PLMN", kInternational, "+442079460958", true},
    {"+28444", kNone, "", true},
    {"+111111", kNone, "", true},
    {"+04420794609", kNone, "", true},
    {"+", kNone, "", false},
    {"442079", kShort, "", true},
    {"44207946095", kNone, "", true},  // one digit is missing
    {"14082257140/TYPE=PLMN", kLong, "+14082257140", true},
    {"28444/type=plmn", kShort, "", true},
    {"28444/TYPE=IPv4", kNone, "", false},
    {"40565033712", kNone, "", true},
    {"4056503371", kNone, "", true},  // 10 digits: of which country?
    {"04420794609", kNone, "", true},
    {"999999999999999", kNone, "", true},
    {"9999999999999999", kNone, "", true},  // 16 are too many
    {"someone@example.com", v1::ADDRESS_KIND_EMAIL, "", false},
    {"HELLO", kNone, "", false},
    {"1408225714O", kNone, "", false},
    {"28\t444", kNone, "", false},
};

TEST(Address, KindAndE164FollowFromTheDigits) {
  for (const Case& one : kCases) {
    SCOPED_TRACE(one.text);
    v1::Address address;
    EXPECT_EQ(SetAddress(one.text, &address), one.is_number);
    EXPECT_EQ(address.value(), one.text);
    EXPECT_EQ(address.kind(), one.kind);
    EXPECT_EQ(address.e164(), one.e164);
  }
}

}  // namespace
}  // namespace mmsmo::postback
