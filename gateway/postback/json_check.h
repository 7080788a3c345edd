// Whether a text is JSON, everywhere: also in the values that nobody reads, which simdjson's
// On-Demand parser skips unseen.

#pragma once

#include <optional>
#include <string_view>

#include "gateway/postback/syntax.h"

namespace mmsmo::postback {

struct JsonFacts {
  // A string or a name contains U+0000.
  bool has_nul = false;
};

// `json` is valid UTF-8. The grammar is RFC 8259's, and surrogates must come in pairs. The first
// error in the bytes is returned; a container deeper than kMaxDepth is one.
std::optional<SyntaxError> CheckJson(std::string_view json, JsonFacts* facts);

// The rest of `json` after its first value; `json` begins with that value and has been checked.
std::string_view AfterJsonValue(std::string_view json);

}  // namespace mmsmo::postback
