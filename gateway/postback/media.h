// What kind of file a URL names.

#pragma once

#include <string_view>

#include "mmsmo/v1/mms_mo.pb.h"

namespace mmsmo::postback {

// By the last extension of the URL's path, in any case; UNSPECIFIED where it has none.
v1::MediaKind MediaKindOf(std::string_view url);

// Whether the scheme is http or https.
bool IsHttpUrl(std::string_view url);

}  // namespace mmsmo::postback
