#include "gateway/base/phone_number.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"

namespace mmsmo {
namespace {

constexpr std::string_view kSuffix = "/type=plmn";

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

std::string_view WithoutSuffix(std::string_view text) {
  if (text.size() < kSuffix.size()) return text;
  const size_t begin = text.size() - kSuffix.size();
  for (size_t i = 0; i < kSuffix.size(); ++i) {
    if (absl::ascii_tolower(static_cast<unsigned char>(text[begin + i])) != kSuffix[i]) return text;
  }
  return text.substr(0, begin);
}

}  // namespace

std::optional<PhoneNumber> ReadPhoneNumber(std::string_view text) {
  std::optional<PhoneNumber> number(std::in_place);
  if (!text.empty() && std::all_of(text.begin(), text.end(), IsDigit)) {  // nearly always
    number->digits = text;
    return number;
  }
  for (const char c : WithoutSuffix(text)) {
    if (IsDigit(c)) {
      number->digits += c;
    } else if (c == '+') {
      number->has_plus |= number->digits.empty();
    } else if (c != ' ' && c != '(' && c != ')' && c != '-' && c != '.') {
      return std::nullopt;
    }
  }
  if (number->digits.empty()) return std::nullopt;
  return number;
}

std::string AddressKey(std::string_view text) {
  auto number = ReadPhoneNumber(text);
  return number ? std::move(number->digits) : std::string(text);
}

}  // namespace mmsmo
