// What kind of address a sender or recipient is.

#pragma once

#include <string_view>

#include "mmsmo/v1/mms_mo.pb.h"

namespace mmsmo::postback {

// Sets value, and kind and e164 where they are certain: numbers that begin with 1 by the rules of
// the North American Numbering Plan, others where libphonenumber holds them for valid. Returns
// whether the text is a number, as ReadPhoneNumber has it.
bool SetAddress(std::string_view text, v1::Address* address);

}  // namespace mmsmo::postback
