#include "gateway/base/phone_number.h"

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"

namespace mmsmo {
namespace {

constexpr std::string_view kSuffix = "/type=plmn";

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

std::string_view WithoutSuffix(std::string_view text) {
  const bool has_suffix =
      absl::EndsWithIgnoreCase({text.data(), text.size()}, {kSuffix.data(), kSuffix.size()});
  return has_suffix ? text.substr(0, text.size() - kSuffix.size()) : text;
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
