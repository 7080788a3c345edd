// The XML in a form field, as some senders post it: application/x-www-form-urlencoded, as the
// WHATWG URL standard decodes it.

#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace mmsmo::postback {

// The value of the only field named xml, in any case; nothing where there is none, or several, or
// an empty one.
std::optional<std::string> XmlOfForm(std::string_view form);

}  // namespace mmsmo::postback
