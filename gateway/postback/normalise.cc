#include "gateway/postback/normalise.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>

#include "gateway/postback/address.h"
#include "gateway/postback/ascii.h"
#include "gateway/postback/media.h"
#include "gateway/postback/operators.h"
#include "gateway/postback/rfc3339.h"

namespace mmsmo::postback {
namespace {

void AppendName(Field field, std::string* names) {
  if (!names->empty()) *names += ", ";
  *names += Name(field);
}

// The names of the fields of which `is` holds, from one to the other.
template <typename Predicate>
std::string NamesOf(Field first, Field last, Predicate is) {
  std::string names;
  for (int i = static_cast<int>(first); i <= static_cast<int>(last); ++i) {
    if (is(static_cast<Field>(i))) AppendName(static_cast<Field>(i), &names);
  }
  return names;
}

Finding ConflictIn(const Fields& fields, Field first, Field last) {
  const std::string names =
      NamesOf(first, last, [&](Field field) { return fields.conflicting(field); });
  if (names.empty()) return {};
  return {Reason::kConflictingField, fmt::format("given twice with different values: {}", names)};
}

// Origin and code are words of the protocol, but their values come from outside all the same: the
// detail does not repeat them.
Finding WrongKind(const Fields& fields) {
  const std::string_view origin = fields[Field::kOrigin];
  const std::string_view code = fields[Field::kCode];
  if (origin.empty() && code.empty()) return {Reason::kNotMmsMo, "neither origin nor code"};
  if (!origin.empty() && !EqualsIgnoringCase(origin, "MMS_MO")) {
    return {Reason::kNotMmsMo, "origin is not MMS_MO"};
  }
  if (!code.empty() && !EqualsIgnoringCase(code, "N401")) {
    return {Reason::kNotMmsMo, "code is not N401"};
  }
  return {};
}

Finding BadField(const Fields& fields) {
  for (int i = 0; i < kFields; ++i) {
    const auto field = static_cast<Field>(i);
    if (!fields.bad(field).empty()) {
      return {Reason::kBadField, fmt::format("{}: {}", Name(field), fields.bad(field))};
    }
  }
  if (fields.has_nul()) return {Reason::kBadField, "a string contains U+0000"};
  return {};
}

Finding MissingField(const Fields& fields) {
  std::string names;
  for (Field field : {Field::kTrackingId, Field::kFrom, Field::kTo}) {
    if (fields[field].empty()) AppendName(field, &names);
  }
  if (names.empty()) return {};
  return {Reason::kMissingField, fmt::format("missing or empty: {}", names)};
}

void FillExtra(const std::vector<ExtraText>& extras, v1::MmsMo* message) {
  for (const auto& [name, text] : extras) (*message->mutable_extra())[std::string(name)] = text;
}

void FillTime(const Fields& fields, v1::MmsMo* message, Warnings* warnings) {
  const std::string_view text = fields[Field::kTimestamp];
  if (text.empty()) return;
  message->set_timestamp(text.data(), text.size());
  if (const auto time = ParseRfc3339(text)) {
    message->mutable_receive_time()->set_seconds(time->seconds);
    message->mutable_receive_time()->set_nanos(time->nanos);
  } else {
    warnings->Add(Warning::kTimestampInvalid);
  }
}

void FillMedia(const Fields& fields, v1::MmsMo* message, Warnings* warnings) {
  if (fields.files().empty()) warnings->Add(Warning::kNoContent);
  for (std::string_view url : fields.files()) {
    v1::Media* media = message->add_media();
    media->set_url(url.data(), url.size());
    media->set_kind(MediaKindOf(url));
    if (!IsHttpUrl(url)) warnings->Add(Warning::kFileUrlInvalid);
  }
}

void FillAddresses(const Fields& fields, v1::MmsMo* message, Warnings* warnings) {
  if (!SetAddress(fields[Field::kFrom], message->mutable_sender())) {
    warnings->Add(Warning::kSenderNotANumber);
  }
  if (!SetAddress(fields[Field::kTo], message->mutable_recipient())) {
    warnings->Add(Warning::kRecipientNotANumber);
  }
  for (std::string_view number : fields.copy_to()) {
    if (!SetAddress(number, message->add_copy_to())) warnings->Add(Warning::kCopyToNotANumber);
  }
}

}  // namespace

Finding Examine(const Fields& fields) {
  if (fields.empty()) {
    return {Reason::kUnknownShape, "not one postback with any of the known fields"};
  }
  Finding finding = ConflictIn(fields, Field::kOrigin, Field::kCode);
  if (finding.reason == Reason::kNone) finding = WrongKind(fields);
  if (finding.reason == Reason::kNone) finding = ConflictIn(fields, Field::kFrom, Field::kSubject);
  if (finding.reason == Reason::kNone) finding = BadField(fields);
  if (finding.reason == Reason::kNone) finding = MissingField(fields);
  return finding;
}

void FillMessage(const Fields& fields, const std::vector<ExtraText>& extras, v1::MmsMo* message) {
  const auto text = [&fields](Field field) { return std::string(fields[field]); };
  message->set_origin(text(Field::kOrigin));
  message->set_code(text(Field::kCode));
  message->set_tracking_id(text(Field::kTrackingId));
  message->set_keyword(text(Field::kKeyword));
  message->set_operator_id(text(Field::kOperatorId));
  const std::string_view operator_name = OperatorName(fields[Field::kOperatorId]);
  message->set_operator_name(operator_name.data(), operator_name.size());
  message->set_subject(text(Field::kSubject));
  Warnings warnings = fields.warnings();
  FillAddresses(fields, message, &warnings);
  FillTime(fields, message, &warnings);
  FillMedia(fields, message, &warnings);
  FillExtra(extras, message);
  for (int i = 0; i < kWarnings; ++i) {
    const auto warning = static_cast<Warning>(i);
    if (warnings.Has(warning)) message->add_warnings(std::string(Name(warning)));
  }
}

}  // namespace mmsmo::postback
