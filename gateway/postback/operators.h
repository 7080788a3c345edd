// The mobile operators by the provider's ids.

#pragma once

#include <string_view>

namespace mmsmo::postback {

// "AT&T"; empty for an id that the provider has not documented. Leading zeros count.
std::string_view OperatorName(std::string_view operator_id);

}  // namespace mmsmo::postback
