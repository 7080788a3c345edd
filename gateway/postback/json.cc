#include "gateway/postback/json.h"

#include <simdjson.h>

#include <string>

#include "gateway/postback/ascii.h"
#include "gateway/postback/json_check.h"

namespace mmsmo::postback {
namespace {

namespace ondemand = simdjson::ondemand;

bool IsEnvelopeInQuotes(std::string_view quoted) {
  if (quoted.find('\\') == std::string_view::npos) {
    return IsEnvelope(quoted.substr(1, quoted.size() - 2));
  }
  simdjson::dom::parser parser;
  std::string_view name;
  return parser.parse(quoted.data(), quoted.size()).get(name) == simdjson::SUCCESS &&
         IsEnvelope(name);
}

// What an array of one and an envelope hold, down to the object with the fields. Nothing where
// there are several postbacks, or none.
std::string_view Unwrap(std::string_view json) {
  while (true) {
    json = Trim(json);
    const bool array = json.starts_with('[');
    if (!array && !json.starts_with('{')) return {};
    std::string_view inside = Trim(json.substr(1));
    if (!array) {
      if (!inside.starts_with('"')) return json;
      const std::string_view after_name = AfterJsonValue(inside);
      const size_t quoted = inside.size() - after_name.size();
      if (!IsEnvelopeInQuotes(inside.substr(0, quoted))) return json;
      inside = Trim(Trim(after_name).substr(1));
    }
    const std::string_view rest = AfterJsonValue(inside);
    if (Trim(rest).starts_with(',')) return array ? std::string_view() : json;
    json = inside.substr(0, inside.size() - rest.size());
  }
}

// The text without the white space between its tokens.
std::string Compact(std::string_view json) {
  std::string compact(json.size(), '\0');
  size_t size = 0;
  if (simdjson::minify(json.data(), json.size(), compact.data(), size) != simdjson::SUCCESS) {
    return std::string(json);
  }
  compact.resize(size);
  return compact;
}

// Errors of simdjson do not occur here: the text has been checked.
class FieldReader {
 public:
  explicit FieldReader(Fields* fields) : fields_(fields) {}

  void Read(ondemand::object object) {
    for (ondemand::field field : object) {
      const std::string_view name = field.unescaped_key();
      const std::optional<Field> known = FieldNamed(name);
      if (!known) {
        fields_->AddExtra(name, ValueOf(field.value()));
      } else if (*known == Field::kContent) {
        ReadList(*known, "file", field.value());
      } else if (*known == Field::kCopyTo) {
        ReadList(*known, "number", field.value());
      } else {
        fields_->Set(*known, ValueOf(field.value()));
      }
    }
  }

 private:
  Value ValueOf(ondemand::value value) {
    switch (ondemand::json_type(value.type())) {
      case ondemand::json_type::string:
        return {.text = Trim(std::string_view(value.get_string()))};
      case ondemand::json_type::number:
        return {.type = Value::Type::kNumber, .text = Trim(value.raw_json_token())};
      case ondemand::json_type::boolean:
        return {.type = Value::Type::kBoolean, .text = Trim(value.raw_json_token())};
      case ondemand::json_type::object: {
        ondemand::object object = value.get_object();
        return Structure(object.raw_json());
      }
      case ondemand::json_type::array: {
        ondemand::array array = value.get_array();
        return Structure(array.raw_json());
      }
      case ondemand::json_type::null:
        return {};
    }
    return {};
  }

  Value Structure(std::string_view json) {
    std::string compact = Compact(json);
    if (compact == "{}" || compact == "[]") return {};
    return {.type = Value::Type::kJson, .text = fields_->Keep(std::move(compact))};
  }

  // [{"file": …}, …] as documented, or what converters make of it.
  void ReadList(Field list, std::string_view entry_name, ondemand::value value) {
    if (ondemand::json_type(value.type()) != ondemand::json_type::array) {
      return ReadEntry(list, entry_name, value, Place::kAlone);
    }
    for (ondemand::value entry : value.get_array()) {
      ReadEntry(list, entry_name, entry, Place::kInArray);
    }
  }

  enum class Place { kInArray, kAlone };

  void ReadEntry(Field list, std::string_view entry_name, ondemand::value value, Place place) {
    if (ondemand::json_type(value.type()) != ondemand::json_type::object) {
      return AddOddlyShaped(list, value);
    }
    bool has_entries = false;
    for (ondemand::field field : value.get_object()) {
      const std::string_view name = field.unescaped_key();
      if (IsNamed(name, entry_name)) {
        has_entries = true;
        ReadEntryValue(list, field.value());
      } else {
        fields_->AddMember(list, name, ValueOf(field.value()));
      }
    }
    if (has_entries && place == Place::kAlone) fields_->Warn(Warning::kContentShape);
  }

  // "file": a URL, or an array of them.
  void ReadEntryValue(Field list, ondemand::value value) {
    if (ondemand::json_type(value.type()) != ondemand::json_type::array) {
      return fields_->Add(list, ValueOf(value));
    }
    for (ondemand::value entry : value.get_array()) AddOddlyShaped(list, entry);
  }

  void AddOddlyShaped(Field list, ondemand::value value) {
    const Value read = ValueOf(value);
    if (read.text.empty()) return;
    fields_->Warn(Warning::kContentShape);
    fields_->Add(list, read);
  }

  Fields* const fields_;
};

}  // namespace

std::optional<SyntaxError> DecodeJson(std::string_view json, Fields* fields) {
  JsonFacts facts;
  if (auto error = CheckJson(json, &facts)) return error;
  if (facts.has_nul) fields->SetHasNul();
  json = Unwrap(json);
  if (json.empty()) return std::nullopt;

  static thread_local std::string buffer;
  static thread_local ondemand::parser parser;
  buffer.reserve(json.size() + simdjson::SIMDJSON_PADDING);
  buffer.assign(json);
  try {
    ondemand::document document = parser.iterate(buffer.data(), buffer.size(), buffer.capacity());
    FieldReader(fields).Read(document.get_object());
  } catch (const simdjson::simdjson_error& error) {
    return SyntaxError{
        .reason = Reason::kBadJson, .offset = 0, .what = simdjson::error_message(error.error())};
  }
  return std::nullopt;
}

}  // namespace mmsmo::postback
