#include "gateway/postback/address.h"

#include <algorithm>
#include <string>
#include <utility>

#include "gateway/base/phone_number.h"
#include "gateway/postback/numbering_plan.h"

namespace mmsmo::postback {
namespace {

constexpr std::string_view kTollFree[] = {"800", "833", "844", "855", "866", "877", "888"};

bool IsNToNine(char c) { return c >= '2' && c <= '9'; }

// 1 NXX NXX XXXX, N being 2 to 9.
bool IsNanp(std::string_view digits) {
  return digits.size() == 11 && IsNToNine(digits[1]) && IsNToNine(digits[4]);
}

bool IsTollFree(std::string_view nanp) {
  return std::find(std::begin(kTollFree), std::end(kTollFree), nanp.substr(1, 3)) !=
         std::end(kTollFree);
}

bool MayBeInternational(const PhoneNumber& number) {
  if (number.has_plus) return true;
  const std::string_view digits = number.digits;
  return digits.size() >= 11 && digits.size() <= 15 && digits[0] != '0';
}

void Classify(const PhoneNumber& number, v1::Address* address) {
  const std::string& digits = number.digits;
  if (!number.has_plus && digits.size() >= 3 && digits.size() <= 6) {
    address->set_kind(v1::ADDRESS_KIND_SHORT_CODE);
  } else if (digits[0] == '1') {
    if (!IsNanp(digits)) return;
    address->set_kind(IsTollFree(digits) ? v1::ADDRESS_KIND_TOLL_FREE : v1::ADDRESS_KIND_LONG_CODE);
    address->set_e164("+" + digits);
  } else if (MayBeInternational(number)) {
    std::string e164 = ValidE164(digits);
    if (e164.empty()) return;
    address->set_kind(v1::ADDRESS_KIND_INTERNATIONAL);
    address->set_e164(std::move(e164));
  }
}

}  // namespace

bool SetAddress(std::string_view text, v1::Address* address) {
  address->set_value(text.data(), text.size());
  if (text.find('@') != std::string_view::npos) {
    address->set_kind(v1::ADDRESS_KIND_EMAIL);
    return false;
  }
  const auto number = ReadPhoneNumber(text);
  if (number) Classify(*number, address);
  return number.has_value();
}

}  // namespace mmsmo::postback
