// The Content-Type field, as far as it matters here (RFC 9110, section 8.3).

#pragma once

#include <string>
#include <string_view>

namespace mmsmo::postback {

enum class MediaKind {
  kNone,  // no Content-Type
  kXml,   // */xml and +xml
  kJson,  // */json and +json
  kForm,  // application/x-www-form-urlencoded
  kMultipart,
  kOther,
};

struct MediaType {
  MediaKind kind = MediaKind::kNone;
  std::string charset;  // in lower case, without quotes; empty where there is none
};

// Never fails: what cannot be understood is of kind kOther.
MediaType ParseMediaType(std::string_view content_type);

}  // namespace mmsmo::postback
