#include "gateway/access/pattern.h"

#include <algorithm>

#include "absl/strings/ascii.h"

namespace mmsmo::access {
namespace {

// Of a host's name: no part of an address or a URI.
bool IsLabel(std::string_view label) {
  return !label.empty() && std::all_of(label.begin(), label.end(), [](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '-' || c == '_';
  });
}

bool IsSame(std::string_view a, std::string_view b, bool fold_case) {
  if (!fold_case) return a == b;
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](char x, char y) {
    return absl::ascii_tolower(static_cast<unsigned char>(x)) ==
           absl::ascii_tolower(static_cast<unsigned char>(y));
  });
}

}  // namespace

// Goes back to the last star only: what an earlier one would have to give up, the last one can take
// as well.
bool MatchesGlob(std::string_view pattern, std::string_view name) {
  size_t p = 0, n = 0;
  size_t star = std::string_view::npos, after_star = 0;
  while (n < name.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      after_star = n;
    } else if (p < pattern.size() && pattern[p] == name[n]) {
      ++p;
      ++n;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      n = ++after_star;
    } else {
      return false;
    }
  }
  return pattern.find_first_not_of('*', p) == std::string_view::npos;
}

bool MatchesLabels(std::string_view pattern, std::string_view name) {
  const bool is_host = pattern.find_first_of("/:@") == std::string_view::npos;
  while (true) {
    const size_t pattern_dot = pattern.find('.'), name_dot = name.find('.');
    const std::string_view wanted = pattern.substr(0, pattern_dot);
    const std::string_view label = name.substr(0, name_dot);
    if (wanted == "*" ? !IsLabel(label) : !IsSame(wanted, label, is_host)) return false;
    if (pattern_dot == std::string_view::npos || name_dot == std::string_view::npos)
      return pattern_dot == name_dot;
    pattern.remove_prefix(pattern_dot + 1);
    name.remove_prefix(name_dot + 1);
  }
}

}  // namespace mmsmo::access
