#pragma once

#include <string_view>

namespace mmsmo::http {

// Whether `text` is a traceparent that W3C Trace Context level 1 allows: "00-" or a later version,
// a trace id and a parent id that are not all zeros, flags; lower-case hexadecimal.
bool IsTraceParent(std::string_view text);

}  // namespace mmsmo::http
