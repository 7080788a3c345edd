#include "gateway/postback/fields.h"

#include <utility>

#include "gateway/postback/ascii.h"

namespace mmsmo::postback {
namespace {

struct Spelling {
  std::string_view name;  // in lower case, without - and _
  Field field;
};
constexpr Spelling kSpellings[] = {
    {"to", Field::kTo},
    {"from", Field::kFrom},
    {"code", Field::kCode},
    {"spid", Field::kOperatorId},
    {"origin", Field::kOrigin},
    {"copyto", Field::kCopyTo},
    {"keyword", Field::kKeyword},
    {"content", Field::kContent},
    {"subject", Field::kSubject},
    {"timestamp", Field::kTimestamp},
    {"trackingid", Field::kTrackingId},
    {"operatorid", Field::kOperatorId},
    {"messagesubject", Field::kSubject},
};

// A name in lower case, without - and _.
class PlainName {
 public:
  explicit PlainName(std::string_view name) {
    for (char c : name) {
      if (c == '-' || c == '_') continue;
      if (size_ == sizeof(text_)) {  // longer than any name that is known
        size_ = 0;
        return;
      }
      text_[size_++] = ToLower(c);
    }
  }
  std::string_view text() const { return {text_, size_}; }

 private:
  char text_[16];
  size_t size_ = 0;
};

}  // namespace

std::string_view Name(Field field) {
  switch (field) {
    case Field::kOrigin:
      return "origin";
    case Field::kCode:
      return "code";
    case Field::kFrom:
      return "from";
    case Field::kTo:
      return "to";
    case Field::kKeyword:
      return "keyword";
    case Field::kTrackingId:
      return "tracking-id";
    case Field::kOperatorId:
      return "operator-id";
    case Field::kTimestamp:
      return "timestamp";
    case Field::kSubject:
      return "message-subject";
    case Field::kContent:
      return "content";
    case Field::kCopyTo:
      return "copy-to";
  }
  return "";
}

std::optional<Field> FieldNamed(std::string_view name) {
  const PlainName plain(name);
  for (const Spelling& spelling : kSpellings) {
    if (plain.text() == spelling.name) return spelling.field;
  }
  return std::nullopt;
}

bool IsNamed(std::string_view name, std::string_view wanted) {
  return PlainName(name).text() == wanted;
}

bool IsEnvelope(std::string_view name) {
  const PlainName plain(name);
  return plain.text() == "postback" || plain.text() == "notification";
}

void Fields::Set(Field field, const Value& value) {
  if (value.text.empty()) return;
  std::string_view& text = scalars_[static_cast<int>(field)];
  if ((present_ & Bit(field)) != 0 && text != value.text) conflicting_ |= Bit(field);
  present_ |= Bit(field);
  text = value.text;
  Usable(field, value);
}

void Fields::Add(Field list, const Value& value) {
  if (value.text.empty()) return;
  present_ |= Bit(list);
  if (Usable(list, value)) lists_[list == Field::kContent ? 0 : 1].push_back(value.text);
}

void Fields::AddExtra(std::string_view name, const Value& value) {
  if (!value.text.empty()) extras_.push_back({.name = name, .value = value});
}

void Fields::AddMember(Field list, std::string_view name, const Value& value) {
  if (value.text.empty()) return;
  if (list == Field::kContent) Warn(Warning::kContentShape);
  extras_.push_back({.name = Keep(std::string(Name(list)).append(".").append(name)),
                     .value = value,
                     .is_member = true});
}

void Fields::SetBad(Field field, std::string_view what) {
  present_ |= Bit(field);
  bad_[static_cast<int>(field)] = what;
}

std::string_view Fields::Keep(std::string text) { return kept_.emplace_back(std::move(text)); }

bool Fields::Usable(Field field, const Value& value) {
  switch (value.type) {
    case Value::Type::kText:
      return true;
    case Value::Type::kNumber:
      if (IsDigits(value.text)) {
        Warn(Warning::kNumberTyped);
        return true;
      }
      SetBad(field, "a number that is not just digits");
      return false;
    case Value::Type::kBoolean:
      SetBad(field, "a boolean");
      return false;
    case Value::Type::kJson:
      SetBad(field, "an object or array where text is expected");
      return false;
    case Value::Type::kXml:
      SetBad(field, "child elements where text is expected");
      return false;
  }
  return false;
}

}  // namespace mmsmo::postback
