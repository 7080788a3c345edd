#include "gateway/postback/form.h"

#include "gateway/postback/ascii.h"

namespace mmsmo::postback {
namespace {

std::string Decode(std::string_view encoded) {
  std::string text;
  text.reserve(encoded.size());
  for (size_t i = 0; i < encoded.size(); ++i) {
    const char c = encoded[i];
    if (c == '%' && i + 2 < encoded.size()) {
      const int high = HexDigit(encoded[i + 1]);
      const int low = HexDigit(encoded[i + 2]);
      if (high >= 0 && low >= 0) {
        text += static_cast<char>(high << 4 | low);
        i += 2;
        continue;
      }
    }
    text += c == '+' ? ' ' : c;
  }
  return text;
}

}  // namespace

std::optional<std::string> XmlOfForm(std::string_view form) {
  std::optional<std::string> xml;
  while (!form.empty()) {
    const std::string_view pair = form.substr(0, form.find('&'));
    form.remove_prefix(std::min(pair.size() + 1, form.size()));
    const size_t equals = pair.find('=');
    if (equals == std::string_view::npos) continue;
    if (!EqualsIgnoringCase(Trim(Decode(pair.substr(0, equals))), "xml")) continue;
    std::string value = Decode(pair.substr(equals + 1));
    if (Trim(value).empty()) continue;
    if (xml) return std::nullopt;
    xml = std::move(value);
  }
  return xml;
}

}  // namespace mmsmo::postback
