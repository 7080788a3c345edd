// Keywords in any case.

#pragma once

#include <string>
#include <string_view>

namespace mmsmo::broker {

// Equal for keywords that differ in case only, or in how their accents are encoded: Unicode's full
// case folding of the NFC form, in NFC again. Of what is longer than a kibibyte, and so no keyword,
// only ASCII letters lose their case. `keyword` is valid UTF-8. Thread-safe, and cheap for what
// this thread has folded lately: many filters ask for the keyword of one event.
std::string FoldKeyword(std::string_view keyword);

}  // namespace mmsmo::broker
