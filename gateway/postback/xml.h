// From XML to Fields.

#pragma once

#include <optional>
#include <string_view>

#include "gateway/postback/fields.h"
#include "gateway/postback/syntax.h"

namespace mmsmo::postback {

// `xml` is valid UTF-8 without a byte order mark. `fields` may point into buffers of this thread
// that the next call reuses.
std::optional<SyntaxError> DecodeXml(std::string_view xml, Fields* fields);

}  // namespace mmsmo::postback
