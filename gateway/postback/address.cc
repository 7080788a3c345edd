#include "gateway/postback/address.h"

#include <algorithm>
#include <array>
#include <string>

#include "gateway/postback/ascii.h"

namespace mmsmo::postback {
namespace {

constexpr size_t kMaxDigits = 15;  // E.164
constexpr std::string_view kTollFree[] = {"800", "833", "844", "855", "866", "877", "888"};

bool IsNToNine(char c) { return c >= '2' && c <= '9'; }

// 1 NXX NXX XXXX, N being 2 to 9.
bool IsNanp(std::string_view digits) {
  return digits.size() == 11 && IsNToNine(digits[1]) && IsNToNine(digits[4]);
}

// Of at most kMaxDigits.
v1::AddressKind KindOf(std::string_view digits) {
  if (digits.size() >= 3 && digits.size() <= 6) return v1::ADDRESS_KIND_SHORT_CODE;
  if (digits[0] == '1') {
    if (!IsNanp(digits)) return v1::ADDRESS_KIND_UNSPECIFIED;
    const bool toll_free = std::find(std::begin(kTollFree), std::end(kTollFree),
                                     digits.substr(1, 3)) != std::end(kTollFree);
    return toll_free ? v1::ADDRESS_KIND_TOLL_FREE : v1::ADDRESS_KIND_LONG_CODE;
  }
  if (digits.size() >= 11 && digits[0] != '0') {
    return v1::ADDRESS_KIND_INTERNATIONAL;
  }
  return v1::ADDRESS_KIND_UNSPECIFIED;
}

bool IsPunctuation(char c) {
  return c == ' ' || c == '+' || c == '(' || c == ')' || c == '-' || c == '.';
}

}  // namespace

bool SetAddress(std::string_view text, v1::Address* address) {
  address->set_value(text.data(), text.size());
  if (text.find('@') != std::string_view::npos) {
    address->set_kind(v1::ADDRESS_KIND_EMAIL);
    return false;
  }
  std::array<char, 1 + kMaxDigits> e164{'+'};
  size_t count = 0;
  for (char c : text) {
    if (IsPunctuation(c)) continue;
    if (!IsDigit(c)) return false;
    if (count < kMaxDigits) e164[1 + count] = c;
    ++count;
  }
  if (count == 0) return false;
  if (count > kMaxDigits) return true;
  const v1::AddressKind kind = KindOf({e164.data() + 1, count});
  address->set_kind(kind);
  if (kind != v1::ADDRESS_KIND_UNSPECIFIED && kind != v1::ADDRESS_KIND_SHORT_CODE) {
    address->set_e164(e164.data(), 1 + count);
  }
  return true;
}

}  // namespace mmsmo::postback
