#include "gateway/postback/json_check.h"

#include <array>
#include <cstdint>

#include "gateway/postback/ascii.h"

namespace mmsmo::postback {
namespace {

using std::string_view_literals::operator""sv;

// Ends a run of plain characters in a string.
constexpr std::array<bool, 256> kStop = [] {
  std::array<bool, 256> table{};
  for (int c = 0; c < 0x20; ++c) table[c] = true;
  table['"'] = table['\\'] = true;
  return table;
}();

class JsonChecker {
 public:
  JsonChecker(std::string_view json, JsonFacts* facts) : json_(json), facts_(facts) {}

  std::optional<SyntaxError> Check() {
    if (!Document()) return error_;
    return std::nullopt;
  }

 private:
  // Always false, so that it can be returned.
  bool ErrorAt(size_t offset, std::string_view what, Reason reason = Reason::kBadJson) {
    error_ = {.reason = reason, .offset = offset, .what = what};
    return false;
  }
  bool Error(std::string_view what) {
    return ErrorAt(at_, at_ == json_.size() ? "the document ends too early" : what);
  }

  char Peek() const { return at_ < json_.size() ? json_[at_] : '\0'; }
  void SkipSpace() {
    while (at_ < json_.size() && IsSpace(json_[at_])) ++at_;
  }

  bool Document() {
    if (!Value()) return false;
    while (depth_ > 0) {
      if (!InContainer()) return false;
    }
    SkipSpace();
    return at_ == json_.size() || Error("text after the document");
  }

  // One scalar, or the beginning of a container.
  bool Value() {
    SkipSpace();
    switch (Peek()) {
      case '{':
      case '[':
        return Open();
      case '"':
        return String();
      case 't':
        return Literal("true"sv);
      case 'f':
        return Literal("false"sv);
      case 'n':
        return Literal("null"sv);
      default:
        return Number();
    }
  }

  bool Open() {
    if (depth_ == kMaxDepth) {
      return ErrorAt(at_, "a value deeper than 64 levels", Reason::kTooDeep);
    }
    const bool object = json_[at_++] == '{';
    objects_ = objects_ << 1 | (object ? 1 : 0);
    ++depth_;
    SkipSpace();
    if (Peek() == (object ? '}' : ']')) return Close();
    return object ? NameAndValue() : Value();
  }

  bool Close() {
    ++at_;
    objects_ >>= 1;
    --depth_;
    return true;
  }

  // After a value in a container: its end, or a comma and the next value.
  bool InContainer() {
    const bool object = (objects_ & 1) != 0;
    SkipSpace();
    if (Peek() == (object ? '}' : ']')) return Close();
    if (Peek() != ',') return Error(object ? "no comma or }" : "no comma or ]");
    ++at_;
    return object ? NameAndValue() : Value();
  }

  bool NameAndValue() {
    SkipSpace();
    if (Peek() != '"') return Error("no name in double quotes");
    if (!String()) return false;
    SkipSpace();
    if (Peek() != ':') return Error("no colon after a name");
    ++at_;
    return Value();
  }

  bool Literal(std::string_view literal) {
    if (json_.substr(at_, literal.size()) != literal) return Error("no JSON value");
    at_ += literal.size();
    return true;
  }

  size_t Digits() {
    const size_t start = at_;
    while (IsDigit(Peek())) ++at_;
    return at_ - start;
  }

  bool Number() {
    const size_t start = at_;
    if (Peek() == '-') ++at_;
    const size_t first = at_;
    const size_t digits = Digits();
    if (digits == 0)
      return first == start ? Error("no JSON value") : Error("a minus without digits");
    if (digits > 1 && json_[first] == '0') return ErrorAt(start, "a number with a leading zero");
    if (Peek() == '.') {
      ++at_;
      if (Digits() == 0) return Error("a fraction without digits");
    }
    if (Peek() == 'e' || Peek() == 'E') {
      ++at_;
      if (Peek() == '+' || Peek() == '-') ++at_;
      if (Digits() == 0) return Error("an exponent without digits");
    }
    return true;
  }

  bool String() {
    const size_t start = at_++;
    while (at_ < json_.size()) {
      const char c = json_[at_];
      if (!kStop[static_cast<uint8_t>(c)]) {
        ++at_;
      } else if (c == '"') {
        ++at_;
        return true;
      } else if (c != '\\') {
        return Error("a control character in a string");
      } else if (!Escape()) {
        return false;
      }
    }
    return ErrorAt(start, "a string without an end");
  }

  bool Escape() {
    const size_t start = at_++;
    const char c = Peek();
    if (c != 'u') {
      if ("\"\\/bfnrt"sv.find(c) == std::string_view::npos) {
        return ErrorAt(start, "an escape that JSON does not know");
      }
      ++at_;
      return true;
    }
    const int unit = CodeUnit();
    if (unit < 0) return ErrorAt(start, "\\u without four hexadecimal digits");
    if (unit == 0) facts_->has_nul = true;
    if (unit < 0xd800 || unit > 0xdfff) return true;
    if (unit <= 0xdbff && json_.substr(at_, 2) == "\\u"sv) {
      ++at_;
      const int second = CodeUnit();
      if (second >= 0xdc00 && second <= 0xdfff) return true;
    }
    return ErrorAt(start, "a surrogate without its other half");
  }

  // The four digits after the u at at_; -1 where there are none.
  int CodeUnit() {
    ++at_;
    int unit = 0;
    for (int i = 0; i < 4; ++i, ++at_) {
      const int digit = HexDigit(Peek());
      if (digit < 0) return -1;
      unit = unit << 4 | digit;
    }
    return unit;
  }

  const std::string_view json_;
  JsonFacts* const facts_;
  size_t at_ = 0;
  int depth_ = 0;
  uint64_t objects_ = 0;  // one bit for each open container, the innermost lowest: 1 is an object
  SyntaxError error_;
};

static_assert(kMaxDepth <= 64, "objects_ has a bit for each level");

}  // namespace

std::optional<SyntaxError> CheckJson(std::string_view json, JsonFacts* facts) {
  return JsonChecker(json, facts).Check();
}

std::string_view AfterJsonValue(std::string_view json) {
  int depth = 0;
  bool in_string = false;
  for (size_t i = 0; i < json.size(); ++i) {
    const char c = json[i];
    if (in_string) {
      if (c == '\\') ++i;
      if (c != '"') continue;
      in_string = false;
      if (depth == 0) return json.substr(i + 1);
    } else if (c == '"') {
      in_string = true;
    } else if (c == '{' || c == '[') {
      ++depth;
    } else if (c == '}' || c == ']') {
      if (depth == 0) return json.substr(i);  // the end of what the scalar stands in
      if (--depth == 0) return json.substr(i + 1);
    } else if (depth == 0 && (c == ',' || IsSpace(c))) {
      return json.substr(i);
    }
  }
  return {};
}

}  // namespace mmsmo::postback
