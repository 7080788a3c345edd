// What a postback says, whichever format it came in: the bridge from the decoders to the
// normaliser.

#pragma once

#include <array>
#include <cstdint>
#include <list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/postback/reason.h"

namespace mmsmo::postback {

enum class Field : uint8_t {
  kOrigin,
  kCode,
  kFrom,
  kTo,
  kKeyword,
  kTrackingId,
  kOperatorId,
  kTimestamp,
  kSubject,
  kContent,
  kCopyTo,
};
inline constexpr int kFields = 11;
inline constexpr int kScalarFields = 9;  // those before kContent

// As the provider documents it: "tracking-id".
std::string_view Name(Field field);

// The field of that name, which may be spelt in any case, with - and _ or without, and may be one
// of the older generations' names.
std::optional<Field> FieldNamed(std::string_view name);

// Whether `name`, spelt like that, is `wanted`, which is in lower case without - and _.
bool IsNamed(std::string_view name, std::string_view wanted);

// Whether a root that contains only an element of this name is unwrapped.
bool IsEnvelope(std::string_view name);

struct Value {
  enum class Type : uint8_t { kText, kNumber, kBoolean, kJson, kXml };
  Type type = Type::kText;
  // Trimmed; of a number as written; of a structure its source, with its outer element if it is
  // XML. An empty text is an absent value.
  std::string_view text;
};

// What no field is made for: an unknown field, or a member of a list's entries.
struct Extra {
  std::string_view name;  // as sent; of a member with the list's name before it: "content.url"
  Value value;
  bool is_member = false;
};

// Views into buffers of the decoder, and into this. Not thread-safe.
class Fields {
 public:
  // A value of one of the scalar fields.
  void Set(Field field, const Value& value);
  // A value of kContent or kCopyTo: one URL or address.
  void Add(Field list, const Value& value);
  void AddExtra(std::string_view name, const Value& value);
  // A value beside the files of kContent or the numbers of kCopyTo.
  void AddMember(Field list, std::string_view name, const Value& value);
  // The field cannot be used; `what` is static text.
  void SetBad(Field field, std::string_view what);
  // A string contains U+0000, wherever it is.
  void SetHasNul() { has_nul_ = true; }
  void Warn(Warning warning) { warnings_.Add(warning); }

  // Makes a view of a text that stands in no buffer.
  std::string_view Keep(std::string text);

  // Whether none of the known fields has a value.
  bool empty() const { return present_ == 0; }
  // Empty where absent.
  std::string_view operator[](Field field) const { return scalars_[static_cast<int>(field)]; }
  const std::vector<std::string_view>& files() const { return lists_[0]; }
  const std::vector<std::string_view>& copy_to() const { return lists_[1]; }
  const std::vector<Extra>& extras() const { return extras_; }
  // The field was given several times, with different values.
  bool conflicting(Field field) const { return (conflicting_ & Bit(field)) != 0; }
  // What is wrong with the field; empty where nothing is.
  std::string_view bad(Field field) const { return bad_[static_cast<int>(field)]; }
  bool has_nul() const { return has_nul_; }
  const Warnings& warnings() const { return warnings_; }

 private:
  static uint32_t Bit(Field field) { return 1u << static_cast<int>(field); }
  // False for a value of a type that a known field cannot have.
  bool Usable(Field field, const Value& value);

  std::array<std::string_view, kScalarFields> scalars_;
  std::array<std::string_view, kFields> bad_;
  std::array<std::vector<std::string_view>, 2> lists_;
  std::vector<Extra> extras_;
  uint32_t present_ = 0;
  uint32_t conflicting_ = 0;
  Warnings warnings_;
  bool has_nul_ = false;
  std::list<std::string> kept_;
};

}  // namespace mmsmo::postback
