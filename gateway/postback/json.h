// From JSON to Fields.

#pragma once

#include <optional>
#include <string_view>

#include "gateway/postback/fields.h"
#include "gateway/postback/syntax.h"

namespace mmsmo::postback {

// `json` is valid UTF-8 without a byte order mark. `fields` may point into buffers of this thread
// that the next call reuses. Several postbacks and a scalar give no fields.
std::optional<SyntaxError> DecodeJson(std::string_view json, Fields* fields);

}  // namespace mmsmo::postback
