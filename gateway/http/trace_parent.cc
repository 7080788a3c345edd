#include "gateway/http/trace_parent.h"

namespace mmsmo::http {
namespace {

bool IsHex(std::string_view text) {
  return text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}
bool IsZero(std::string_view text) { return text.find_first_not_of('0') == std::string_view::npos; }

}  // namespace

bool IsTraceParent(std::string_view text) {
  constexpr size_t kLength = 55;  // version-00 form: 2-32-16-2
  if (text.size() < kLength || text[2] != '-' || text[35] != '-' || text[52] != '-') return false;
  const std::string_view version = text.substr(0, 2), trace = text.substr(3, 32),
                         parent = text.substr(36, 16);
  if (!IsHex(version) || version == "ff" || !IsHex(trace) || IsZero(trace) || !IsHex(parent) ||
      IsZero(parent) || !IsHex(text.substr(53, 2))) {
    return false;
  }
  // Later versions may append fields.
  return text.size() == kLength || (version != "00" && text[kLength] == '-' && text.size() <= 256);
}

}  // namespace mmsmo::http
