#include "gateway/postback/syntax.h"

#include <fmt/format.h>

#include <algorithm>

namespace mmsmo::postback {

std::string Describe(const SyntaxError& error, std::string_view text) {
  const std::string_view before = text.substr(0, error.offset);
  const auto line = 1 + std::count(before.begin(), before.end(), '\n');
  const std::string_view last = before.substr(before.rfind('\n') + 1);  // npos + 1 is 0
  const auto column = 1 + std::count_if(last.begin(), last.end(), [](char c) {
                        return (static_cast<unsigned char>(c) & 0xc0) != 0x80;
                      });
  return fmt::format("{}, at line {}, column {}", error.what, line, column);
}

}  // namespace mmsmo::postback
