#include "gateway/toml_file.h"

#include <algorithm>
#include <fstream>
#include <sstream>

#include "gateway/base/status.h"

namespace mmsmo {
namespace {

// Which TOML would give back in the same words.
bool IsInteger(std::string_view text) {
  constexpr size_t kMaxDigits = 18;
  return !text.empty() && text.size() <= kMaxDigits && (text == "0" || text[0] != '0') &&
         std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

}  // namespace

absl::StatusOr<toml::table> ReadTomlFile(const std::string& file) {
  std::ifstream stream(file, std::ios::binary);
  std::ostringstream text;
  if (stream.peek() != std::ifstream::traits_type::eof()) text << stream.rdbuf();
  if (!stream.is_open() || stream.bad() || text.bad()) {
    return InvalidArgument("{}: the file cannot be read", file);
  }
  try {
    return toml::parse(text.str());
  } catch (const toml::parse_error& error) {
    return InvalidArgument("{}: line {}: {}", file, error.source().begin.line, error.description());
  }
}

std::optional<std::string> TextOfToml(const toml::node& value) {
  if (auto text = value.value_exact<std::string>()) return text;
  if (const auto number = value.value_exact<int64_t>()) return std::to_string(*number);
  if (const auto truth = value.value_exact<bool>()) return *truth ? "true" : "false";
  return std::nullopt;
}

std::string TomlOfText(std::string_view text) {
  if (IsInteger(text) || text == "true" || text == "false") return std::string(text);
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      quoted += '\\';
      quoted += c;
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      quoted += fmt::format("\\u{:04x}", c);
    } else {
      quoted += c;
    }
  }
  return quoted + '"';
}

}  // namespace mmsmo
