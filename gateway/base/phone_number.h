// Phone numbers as people and carriers write them: one number, many spellings.

#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace mmsmo {

struct PhoneNumber {
  std::string digits;     // at least one
  bool has_plus = false;  // before the first digit
};

// The number that `text` spells: digits, among which spaces and + ( ) - . may stand, and perhaps
// MM7's suffix "/TYPE=PLMN", in any case. Nothing where it is anything else.
std::optional<PhoneNumber> ReadPhoneNumber(std::string_view text);

// Equal for all spellings of one number: its digits. What is no number stays as it is.
std::string AddressKey(std::string_view text);

}  // namespace mmsmo
