#include "gateway/postback/reason.h"

namespace mmsmo::postback {

std::string_view Name(Reason reason) {
  switch (reason) {
    case Reason::kNone:
      return "";
    case Reason::kBadXml:
      return "bad_xml";
    case Reason::kBadJson:
      return "bad_json";
    case Reason::kBadEncoding:
      return "bad_encoding";
    case Reason::kEmptyBody:
      return "empty_body";
    case Reason::kUnsupportedMediaType:
      return "unsupported_media_type";
    case Reason::kDtdForbidden:
      return "dtd_forbidden";
    case Reason::kTooDeep:
      return "too_deep";
    case Reason::kBodyTooLarge:
      return "body_too_large";
    case Reason::kMissingField:
      return "missing_field";
    case Reason::kBadField:
      return "bad_field";
    case Reason::kConflictingField:
      return "conflicting_field";
    case Reason::kNotMmsMo:
      return "not_mms_mo";
    case Reason::kUnknownShape:
      return "unknown_shape";
  }
  return "";
}

std::string_view Name(Warning warning) {
  switch (warning) {
    case Warning::kContentTypeMismatch:
      return "content_type_mismatch";
    case Warning::kContentShape:
      return "content_shape";
    case Warning::kNoContent:
      return "no_content";
    case Warning::kNumberTyped:
      return "number_typed";
    case Warning::kTimestampInvalid:
      return "timestamp_invalid";
    case Warning::kFileUrlInvalid:
      return "file_url_invalid";
    case Warning::kSenderNotANumber:
      return "sender_not_a_number";
    case Warning::kRecipientNotANumber:
      return "recipient_not_a_number";
    case Warning::kCopyToNotANumber:
      return "copy_to_not_a_number";
    case Warning::kUnknownNamespace:
      return "unknown_namespace";
  }
  return "";
}

}  // namespace mmsmo::postback
