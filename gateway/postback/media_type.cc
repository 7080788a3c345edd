#include "gateway/postback/media_type.h"

#include <algorithm>

#include "gateway/postback/ascii.h"

namespace mmsmo::postback {
namespace {

MediaKind KindOf(std::string_view essence) {
  if (essence.empty()) return MediaKind::kNone;
  if (EqualsIgnoringCase(essence, "application/x-www-form-urlencoded")) return MediaKind::kForm;
  const size_t slash = essence.find('/');
  if (slash == std::string_view::npos) return MediaKind::kOther;
  if (EqualsIgnoringCase(essence.substr(0, slash), "multipart")) return MediaKind::kMultipart;
  std::string_view subtype = essence.substr(slash + 1);
  subtype.remove_prefix(subtype.rfind('+') + 1);  // npos + 1 is 0
  if (EqualsIgnoringCase(subtype, "xml")) return MediaKind::kXml;
  if (EqualsIgnoringCase(subtype, "json")) return MediaKind::kJson;
  return MediaKind::kOther;
}

std::string Unquote(std::string_view value) {
  std::string text;
  // Single quotes are none by RFC 9110, but senders take them for some.
  const bool is_quoted = value.size() >= 2 && value.front() == value.back() &&
                         (value.front() == '"' || value.front() == '\'');
  if (is_quoted) value = value.substr(1, value.size() - 2);
  for (char c : value) {
    if (c != '\\') text += ToLower(c);
  }
  return std::string(Trim(text));
}

}  // namespace

MediaType ParseMediaType(std::string_view content_type) {
  const size_t semicolon = std::min(content_type.find(';'), content_type.size());
  MediaType type{.kind = KindOf(Trim(content_type.substr(0, semicolon))), .charset = {}};
  std::string_view rest = content_type.substr(semicolon);
  while (!rest.empty() && type.charset.empty()) {
    rest.remove_prefix(1);
    const std::string_view parameter = rest.substr(0, rest.find(';'));
    rest.remove_prefix(parameter.size());
    const size_t equals = parameter.find('=');
    if (equals == std::string_view::npos) continue;
    if (EqualsIgnoringCase(Trim(parameter.substr(0, equals)), "charset")) {
      type.charset = Unquote(Trim(parameter.substr(equals + 1)));
    }
  }
  return type;
}

}  // namespace mmsmo::postback
