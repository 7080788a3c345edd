// The fields that nobody knows, as the message has them.

#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "gateway/postback/fields.h"

namespace mmsmo::postback {

struct ExtraText {
  std::string_view name;
  std::string text;
};

// Sorted by name. A name's only value is as it is; several are a JSON array, in the order in which
// they were sent, those from XML as strings.
std::vector<ExtraText> ExtraTexts(const Fields& fields);

}  // namespace mmsmo::postback
