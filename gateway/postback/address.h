// What kind of address a sender or recipient is.

#pragma once

#include <string_view>

#include "mmsmo/v1/mms_mo.pb.h"

namespace mmsmo::postback {

// Sets value, and kind and e164 where they are certain: E.164 numbers, with those that begin with 1
// checked against the North American Numbering Plan. Returns whether the text is a number once
// spaces, +, (, ), - and . are taken out.
bool SetAddress(std::string_view text, v1::Address* address);

}  // namespace mmsmo::postback
