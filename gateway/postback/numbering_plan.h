// Which phone numbers there are outside of the North American Numbering Plan.

#pragma once

#include <string>
#include <string_view>

namespace mmsmo::postback {

// The E.164 form, "+" and digits, of the number that `digits` dial from abroad, country code first;
// empty where libphonenumber does not hold it for valid. Thread-safe. About 10 µs; the first call
// loads the plans, which takes 4 ms and 4 MiB.
std::string ValidE164(std::string_view digits);

}  // namespace mmsmo::postback
