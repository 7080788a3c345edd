// Patterns with stars.

#pragma once

#include <string_view>

namespace mmsmo::access {

// Whether `name` is what `pattern` says, in which "*" is any run of characters, also none.
bool MatchesGlob(std::string_view pattern, std::string_view name);

// Whether a certificate's name is what `pattern` says, in which a "*" between dots is any one label
// of a host's name. Upper and lower case are the same, but not in URIs and addresses.
bool MatchesLabels(std::string_view pattern, std::string_view name);

}  // namespace mmsmo::access
