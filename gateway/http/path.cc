#include "gateway/http/path.h"

#include <algorithm>
#include <charconv>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"

namespace mmsmo::http {
namespace {

bool IsUnreserved(char c) {
  return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '-' || c == '.' || c == '_' ||
         c == '~';
}

// The byte that %XX at `at` stands for; -1 where there is none.
int EncodedAt(std::string_view path, size_t at) {
  const std::string_view digits = path.substr(at + 1, 2);
  int byte = -1;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), byte, 16);
  return digits.size() == 2 && digits[0] != '-' && end == digits.data() + 2 ? byte : -1;
}

}  // namespace

std::string_view PathOf(std::string_view target) {
  for (const std::string_view scheme : {"http://", "https://"}) {
    const std::string_view begin = target.substr(0, scheme.size());
    if (!absl::EqualsIgnoreCase({begin.data(), begin.size()}, {scheme.data(), scheme.size()}))
      continue;
    target.remove_prefix(scheme.size());
    target.remove_prefix(std::min(target.find_first_of("/?"), target.size()));
    if (!target.starts_with('/')) return "/";
  }
  return target.substr(0, target.find('?'));
}

std::string NormalPath(std::string_view path) {
  std::string normal;
  for (size_t i = 0; i < path.size(); ++i) {
    const int encoded = path[i] == '%' ? EncodedAt(path, i) : -1;
    if (encoded < 0) {
      normal += path[i];
      continue;
    }
    if (IsUnreserved(static_cast<char>(encoded))) {
      normal += static_cast<char>(encoded);
    } else {
      normal += '%';
      for (const char digit : path.substr(i + 1, 2))
        normal += absl::ascii_toupper(static_cast<unsigned char>(digit));
    }
    i += 2;
  }
  if (normal.size() > 1 && normal.ends_with('/')) normal.pop_back();
  return normal;
}

}  // namespace mmsmo::http
