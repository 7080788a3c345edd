#include "gateway/postback/xml_check.h"

#include <unicode/utf16.h>

#include <algorithm>
#include <array>
#include <cstdint>

#include "gateway/postback/ascii.h"

namespace mmsmo::postback {
namespace {

using std::string_view_literals::operator""sv;

enum CharClass : uint8_t {
  kNameStart = 1,
  kNameChar = 2,
  kStop = 4,  // ends a run of plain text: < & and whatever may be forbidden
};

constexpr std::array<uint8_t, 256> kClass = [] {
  std::array<uint8_t, 256> table{};
  for (int c = 0; c < 256; ++c) {
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c >= 0x80;
    if (letter || c == '_' || c == ':') table[c] |= kNameStart | kNameChar;
    if ((c >= '0' && c <= '9') || c == '-' || c == '.') table[c] |= kNameChar;
    const bool control = c < 0x20 && c != '\t' && c != '\n' && c != '\r';
    if (c == '<' || c == '&' || control || c == 0xef) table[c] |= kStop;
  }
  return table;
}();

bool Is(char c, CharClass wanted) { return (kClass[static_cast<uint8_t>(c)] & wanted) != 0; }

// XML 1.0, production 2.
bool IsXmlChar(uint32_t c) {
  if (c < 0x20) return c == '\t' || c == '\n' || c == '\r';
  return c <= 0xd7ff || (c >= 0xe000 && c <= 0xfffd) || (c >= 0x10000 && c <= 0x10ffff);
}

class XmlChecker {
 public:
  XmlChecker(std::string_view xml, XmlFacts* facts) : xml_(xml), facts_(facts) {}

  std::optional<SyntaxError> Check() {
    while (at_ < xml_.size()) {
      const bool good = xml_[at_] == '<' ? Markup() : depth_ > 0 ? Text() : Outside();
      if (!good) return error_;
    }
    if (depth_ > 0) return Error("the document ends inside an element"), error_;
    if (!has_root_) return Error("there is no root element"), error_;
    return std::nullopt;
  }

 private:
  // Always false, so that it can be returned.
  bool Error(std::string_view what) { return ErrorAt(at_, what); }
  bool ErrorAt(size_t offset, std::string_view what, Reason reason = Reason::kBadXml) {
    error_ = {.reason = reason, .offset = offset, .what = what};
    return false;
  }

  bool Looking(std::string_view at) const { return xml_.substr(at_).starts_with(at); }
  // U+FFFE and U+FFFF.
  bool AtNonCharacter() const {
    return xml_[at_] == '\xef' && (Looking("\xef\xbf\xbe"sv) || Looking("\xef\xbf\xbf"sv));
  }
  void SkipSpace() {
    while (at_ < xml_.size() && IsSpace(xml_[at_])) ++at_;
  }

  // Whether the character at at_, one of class kStop, is allowed; goes past it if so.
  bool Allowed() {
    const char c = xml_[at_];
    if (static_cast<uint8_t>(c) < 0x20) return Error("a control character");
    if (AtNonCharacter()) return Error("a non-character");
    ++at_;
    return true;
  }

  // White space only may stand outside of the root element.
  bool Outside() {
    if (!IsSpace(xml_[at_])) {
      return Error(has_root_ ? "text after the root element" : "text before the root element");
    }
    SkipSpace();
    return true;
  }

  bool Text() {
    while (at_ < xml_.size()) {
      const char c = xml_[at_];
      if (!Is(c, kStop)) {
        ++at_;
      } else if (c == '<') {
        return true;
      } else if (!(c == '&' ? Reference() : Allowed())) {
        return false;
      }
    }
    return true;
  }

  // What stands at `at`, where that is a numeric reference: its number, which is more than any
  // character's where it is too large, and its end.
  struct NumericReference {
    uint32_t number = 0;
    size_t end = 0;
  };
  std::optional<NumericReference> NumericReferenceAt(size_t at) const {
    if (!xml_.substr(std::min(at, xml_.size())).starts_with("&#"sv)) return std::nullopt;
    at += 2;
    const int base = at < xml_.size() && xml_[at] == 'x' ? 16 : 10;
    if (base == 16) ++at;
    uint32_t number = 0;
    const size_t digits = at;
    for (; at < xml_.size(); ++at) {
      const int digit = HexDigit(xml_[at]);
      if (digit < 0 || digit >= base) break;
      if (number <= 0x10ffff) number = number * base + digit;
    }
    if (at == digits || at == xml_.size() || xml_[at] != ';') return std::nullopt;
    return NumericReference{.number = number, .end = at + 1};
  }

  // A reference to a character that XML forbids is an error; everything else that begins with & is
  // text.
  bool Reference() {
    const size_t start = at_;
    const auto reference = NumericReferenceAt(start);
    if (!reference) return ++at_, true;
    at_ = reference->end;
    if (IsXmlChar(reference->number)) return true;
    // Some senders escape each half of a surrogate pair.
    const auto next = NumericReferenceAt(at_);
    if (!next || !U16_IS_LEAD(reference->number) || !U16_IS_TRAIL(next->number)) {
      return ErrorAt(start, "a reference to a forbidden character");
    }
    at_ = next->end;
    const char32_t character = U16_GET_SUPPLEMENTARY(reference->number, next->number);
    facts_->surrogate_pairs.push_back({.begin = start, .end = at_, .character = character});
    return true;
  }

  bool Markup() {
    const char next = at_ + 1 < xml_.size() ? xml_[at_ + 1] : '\0';
    if (Is(next, kNameStart)) return StartTag();
    if (next == '/') return EndTag();
    if (Looking("<!--"sv)) return Section(4, "-->"sv, "a comment without an end");
    if (Looking("<?"sv)) return ProcessingInstruction();
    if (Looking("<![CDATA["sv)) {
      if (depth_ == 0) return Error("a CDATA section outside of the root element");
      return Section(9, "]]>"sv, "a CDATA section without an end");
    }
    if (Looking("<!"sv)) return Error("a declaration where none may be");
    return StartTag();
  }

  // What stands between at_ + `skip` and `end` is free but for forbidden characters.
  bool Section(size_t skip, std::string_view end, std::string_view unfinished) {
    const size_t start = at_;
    facts_->parted_text |= depth_ > 0;
    const size_t stop = xml_.find(end, at_ + skip);
    const size_t last = stop == std::string_view::npos ? xml_.size() : stop;
    for (at_ += skip; at_ < last;) {
      const char c = xml_[at_];
      if (!Is(c, kStop) || c == '<' || c == '&') {
        ++at_;
      } else if (!Allowed()) {
        return false;
      }
    }
    if (stop == std::string_view::npos) return ErrorAt(start, unfinished);
    at_ = stop + end.size();
    return true;
  }

  bool ProcessingInstruction() {
    if (at_ + 2 >= xml_.size() || !Is(xml_[at_ + 2], kNameStart)) {
      return Error("a processing instruction without a target");
    }
    return Section(2, "?>"sv, "a processing instruction without an end");
  }

  std::string_view Name() {
    const size_t start = at_;
    if (at_ < xml_.size() && Is(xml_[at_], kNameStart)) {
      while (at_ < xml_.size() && Is(xml_[at_], kNameChar) && !AtNonCharacter()) ++at_;
    }
    return xml_.substr(start, at_ - start);
  }

  bool StartTag() {
    const size_t start = at_++;
    const std::string_view name = Name();
    if (name.empty()) return ErrorAt(start, "a < that begins no element");
    if (depth_ == 0 && has_root_) return ErrorAt(start, "a second root element");
    if (depth_ == kMaxDepth) {
      return ErrorAt(start, "an element deeper than 64 levels", Reason::kTooDeep);
    }
    for (char c : name) facts_->unknown_namespace |= c == ':';
    has_root_ = true;
    while (true) {
      const size_t before = at_;
      SkipSpace();
      if (at_ == xml_.size()) return ErrorAt(start, "a tag without an end");
      if (xml_[at_] == '>') {
        ++at_;
        open_[depth_++] = name;
        return true;
      }
      if (Looking("/>"sv)) {
        at_ += 2;
        return true;
      }
      if (at_ == before) return Error("a tag that is not well-formed");
      if (!Attribute()) return false;
    }
  }

  bool Attribute() {
    const std::string_view name = Name();
    if (name.empty()) return Error("a tag that is not well-formed");
    SkipSpace();
    if (!Looking("="sv)) return Error("an attribute without a value");
    ++at_;
    SkipSpace();
    if (at_ == xml_.size() || (xml_[at_] != '"' && xml_[at_] != '\'')) {
      return Error("an attribute's value without quotes");
    }
    const char quote = xml_[at_++];
    const size_t start = at_;
    while (at_ < xml_.size() && xml_[at_] != quote) {
      const char c = xml_[at_];
      if (!Is(c, kStop)) {
        ++at_;
      } else if (c == '<') {
        return Error("a < in an attribute's value");
      } else if (!(c == '&' ? Reference() : Allowed())) {
        return false;
      }
    }
    if (at_ == xml_.size()) return ErrorAt(start, "an attribute's value without an end");
    NoteNamespace(name, xml_.substr(start, at_ - start));
    ++at_;
    return true;
  }

  void NoteNamespace(std::string_view attribute, std::string_view value) {
    if (attribute != "xmlns"sv && !attribute.starts_with("xmlns:"sv)) return;
    if (attribute == "xmlns:xsi"sv || value == "http://www.w3.org/2001/XMLSchema-instance"sv)
      return;
    facts_->unknown_namespace = true;
  }

  bool EndTag() {
    const size_t start = at_;
    at_ += 2;
    const std::string_view name = Name();
    if (depth_ == 0) return ErrorAt(start, "an end tag without a start tag");
    if (name != open_[depth_ - 1]) {
      return ErrorAt(start, "an end tag that does not fit its start tag");
    }
    SkipSpace();
    if (!Looking(">"sv)) return Error("an end tag without an end");
    ++at_;
    --depth_;
    return true;
  }

  const std::string_view xml_;
  XmlFacts* const facts_;
  size_t at_ = 0;
  int depth_ = 0;
  bool has_root_ = false;
  SyntaxError error_;
  std::array<std::string_view, kMaxDepth> open_;  // the names of the open elements
};

}  // namespace

bool HasDoctype(std::string_view xml) {
  size_t at = 0;
  while ((at = xml.find('<', at)) != std::string_view::npos) {
    const std::string_view rest = xml.substr(at);
    if (StartsWithIgnoringCase(rest, "<!doctype"sv)) return true;
    if (rest.starts_with("<!--"sv)) {
      at = xml.find("-->"sv, at + 4);
    } else if (rest.starts_with("<?"sv)) {
      at = xml.find("?>"sv, at + 2);
    } else {
      return false;
    }
  }
  return false;
}

std::string_view DeclaredEncoding(std::string_view xml) {
  xml = Trim(xml);
  if (!xml.starts_with("<?xml"sv) || xml.size() < 6 || !IsSpace(xml[5])) return {};
  const std::string_view declaration = xml.substr(0, xml.find("?>"sv));
  size_t at = declaration.find("encoding"sv);
  if (at == std::string_view::npos) return {};
  std::string_view rest = Trim(declaration.substr(at + "encoding"sv.size()));
  if (!rest.starts_with('=')) return {};
  rest = Trim(rest.substr(1));
  if (rest.empty() || (rest[0] != '"' && rest[0] != '\'')) return {};
  const size_t end = rest.find(rest[0], 1);
  return end == std::string_view::npos ? std::string_view() : Trim(rest.substr(1, end - 1));
}

std::optional<SyntaxError> CheckXml(std::string_view xml, XmlFacts* facts) {
  return XmlChecker(xml, facts).Check();
}

}  // namespace mmsmo::postback
