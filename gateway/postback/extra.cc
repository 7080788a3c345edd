#include "gateway/postback/extra.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <utility>

namespace mmsmo::postback {
namespace {

void AppendJsonString(std::string_view text, std::string* out) {
  out->push_back('"');
  for (char c : text) {
    if (c == '"' || c == '\\') {
      out->push_back('\\');
      out->push_back(c);
    } else if (static_cast<unsigned char>(c) < 0x20) {
      fmt::format_to(std::back_inserter(*out), "\\u{:04x}", static_cast<unsigned char>(c));
    } else {
      out->push_back(c);
    }
  }
  out->push_back('"');
}

void AppendJson(const Value& value, std::string* out) {
  const bool is_json = value.type != Value::Type::kText && value.type != Value::Type::kXml;
  if (is_json) {
    out->append(value.text);
  } else {
    AppendJsonString(value.text, out);
  }
}

}  // namespace

std::vector<ExtraText> ExtraTexts(const Fields& fields) {
  std::vector<ExtraText> texts;
  std::vector<Extra> extras = fields.extras();
  std::stable_sort(extras.begin(), extras.end(),
                   [](const Extra& a, const Extra& b) { return a.name < b.name; });
  for (size_t i = 0; i < extras.size();) {
    size_t end = i + 1;
    while (end < extras.size() && extras[end].name == extras[i].name) ++end;
    std::string text(extras[i].value.text);
    if (end > i + 1) {
      text = "[";
      for (size_t j = i; j < end; ++j) {
        if (j > i) text += ',';
        AppendJson(extras[j].value, &text);
      }
      text += ']';
    }
    texts.push_back({.name = extras[i].name, .text = std::move(text)});
    i = end;
  }
  return texts;
}

}  // namespace mmsmo::postback
