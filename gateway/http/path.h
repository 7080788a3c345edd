// Paths as they are compared: RFC 3986, 6.2.2.

#pragma once

#include <string>
#include <string_view>

namespace mmsmo::http {

// The path of an origin-form or an absolute-form (RFC 9112, 3.2), without its query, as it was
// written.
std::string_view PathOf(std::string_view target);

// Characters that need not be percent-encoded are decoded, and one slash at the end is left out.
std::string NormalPath(std::string_view path);

}  // namespace mmsmo::http
