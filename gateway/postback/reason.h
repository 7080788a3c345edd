// Why a postback was not published, and what was odd about one that was. The names are stable: they
// stand in HTTP answers, in metrics, in the quarantine and in MmsMo.warnings.

#pragma once

#include <cstdint>
#include <string_view>

namespace mmsmo::postback {

enum class Reason {
  kNone,
  // The bytes cannot be decoded: rejected.
  kBadXml,
  kBadJson,
  kBadEncoding,
  kEmptyBody,
  kUnsupportedMediaType,
  kDtdForbidden,
  kTooDeep,
  kBodyTooLarge,
  // Well-formed, but not a usable MMS MO: quarantined.
  kMissingField,
  kBadField,
  kConflictingField,
  kNotMmsMo,
  kUnknownShape,
};
inline constexpr int kReasons = 14;

// "bad_xml" and so on; empty for kNone.
std::string_view Name(Reason reason);

// What is odd about an accepted message.
enum class Warning {
  kContentTypeMismatch,
  kContentShape,
  kNoContent,
  kNumberTyped,
  kTimestampInvalid,
  kFileUrlInvalid,
  kSenderNotANumber,
  kRecipientNotANumber,
  kCopyToNotANumber,
  kUnknownNamespace,
};
inline constexpr int kWarnings = 10;

// "content_type_mismatch" and so on.
std::string_view Name(Warning warning);

class Warnings {
 public:
  void Add(Warning warning) { bits_ |= Bit(warning); }
  bool Has(Warning warning) const { return (bits_ & Bit(warning)) != 0; }

 private:
  static uint32_t Bit(Warning warning) { return 1u << static_cast<int>(warning); }
  uint32_t bits_ = 0;
};

}  // namespace mmsmo::postback
