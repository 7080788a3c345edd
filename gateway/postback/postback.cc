#include "gateway/postback/postback.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "gateway/postback/ascii.h"
#include "gateway/postback/content_coding.h"
#include "gateway/postback/encoding.h"
#include "gateway/postback/extra.h"
#include "gateway/postback/fields.h"
#include "gateway/postback/fingerprint.h"
#include "gateway/postback/form.h"
#include "gateway/postback/json.h"
#include "gateway/postback/media_type.h"
#include "gateway/postback/normalise.h"
#include "gateway/postback/syntax.h"
#include "gateway/postback/xml.h"
#include "gateway/postback/xml_check.h"

namespace mmsmo::postback {
namespace {

enum class Format { kXml, kJson, kForm };

// The body without its coding and its byte order mark, and what is said about it from outside.
struct Body {
  std::string_view bytes;
  std::optional<Encoding> mark;
  MediaType type;

  bool IsWide() const { return mark && mark->IsWide(); }
  // What the mark or else the charset parameter says. A label of a wide encoding on bytes without a
  // mark is so in word only.
  std::optional<Encoding> GivenEncoding() const {
    if (mark) return mark;
    const std::optional<Encoding> labelled = EncodingLabelled(type.charset);
    return labelled && labelled->IsWide() ? kUtf8 : labelled;
  }
};

// Nothing, or why the body is rejected.
using Rejection = std::optional<Judgement>;

Judgement Reject(Reason reason, std::string detail) {
  return {.verdict = Verdict::kRejected,
          .reason = reason,
          .detail = std::move(detail),
          .tracking_id = {},
          .fingerprint = {},
          .earlier_fingerprint = {}};
}

Judgement RejectSyntax(const SyntaxError& error, std::string_view text) {
  return Reject(error.reason, Describe(error, text));
}

Judgement RejectEncoding(std::string detail) {
  return Reject(Reason::kBadEncoding, std::move(detail));
}

// The first byte that is not white space; a wide encoding's zeros count as such.
std::optional<char> FirstByte(const Body& body) {
  for (char c : body.bytes) {
    if (!IsSpace(c) && !(c == '\0' && body.IsWide())) return c;
  }
  return std::nullopt;
}

// The same once the bytes are decoded, so that no encoding hides it: of a stateful one the first
// byte may be anything.
std::optional<char> FirstCharacter(const Body& body) {
  const std::optional<char> first = FirstByte(body);
  if (!first || *first != '\x1b' || !body.GivenEncoding()) return first;
  std::string buffer;
  size_t offset = 0;
  const auto text = ToUtf8(body.bytes, *body.GivenEncoding(), &buffer, &offset);
  return text ? FirstByte({.bytes = *text, .mark = {}, .type = {}}) : first;
}

std::optional<Format> FormatOf(char first_byte, MediaKind kind) {
  switch (first_byte) {
    case '<':
      return Format::kXml;
    case '{':
    case '[':
      return Format::kJson;
    default:
      break;
  }
  switch (kind) {
    case MediaKind::kXml:
      return Format::kXml;
    case MediaKind::kJson:
      return Format::kJson;
    case MediaKind::kForm:
      return Format::kForm;
    default:
      return std::nullopt;
  }
}

bool Fits(Format format, MediaKind kind) {
  switch (kind) {
    case MediaKind::kNone:
      return true;
    case MediaKind::kXml:
      return format == Format::kXml;
    case MediaKind::kJson:
      return format == Format::kJson;
    case MediaKind::kForm:
      return format == Format::kForm;
    default:
      return false;
  }
}

// UTF-16 and UTF-32 put a zero beside the < that begins the document.
bool LooksWide(std::string_view bytes) {
  const size_t less = bytes.find('<');
  if (less == std::string_view::npos) return false;
  return (less > 0 && bytes[less - 1] == '\0') ||
         (less + 1 < bytes.size() && bytes[less + 1] == '\0');
}

std::optional<std::string_view> ToUtf8(std::string_view bytes, const Encoding& encoding,
                                       std::string* buffer, Rejection* rejection) {
  size_t offset = 0;
  const auto text = ToUtf8(bytes, encoding, buffer, &offset);
  if (!text) {
    *rejection = RejectEncoding(
        fmt::format("the bytes are not valid in the body's encoding, at byte {}", offset + 1));
  }
  return text;
}

Rejection DecodeXmlText(std::string_view xml, Fields* fields) {
  if (HasDoctype(xml)) return Reject(Reason::kDtdForbidden, "a document type declaration");
  if (const auto error = DecodeXml(xml, fields)) return RejectSyntax(*error, xml);
  return std::nullopt;
}

Rejection DecodeXmlBody(const Body& body, Fields* fields) {
  std::optional<Encoding> encoding = body.GivenEncoding();
  if (!body.mark && LooksWide(body.bytes)) {
    return RejectEncoding("UTF-16 or UTF-32 without a byte order mark");
  }
  if (!encoding) {
    const std::string_view label = DeclaredEncoding(body.bytes);
    encoding = label.empty() ? kUtf8 : EncodingLabelled(label);
    if (!encoding) return RejectEncoding("an encoding that XML postbacks may not be in");
    if (encoding->IsWide()) encoding = kUtf8;
  }
  Rejection rejection;
  std::string buffer;
  const auto text = ToUtf8(body.bytes, *encoding, &buffer, &rejection);
  return text ? DecodeXmlText(*text, fields) : rejection;
}

// JSON and forms are in UTF-8, or in US-ASCII, which is a part of it. What is no label says
// nothing.
std::optional<Encoding> NarrowEncoding(const Body& body) {
  if (body.mark) return body.IsWide() ? std::nullopt : body.mark;
  if (body.type.charset.empty()) return kUtf8;
  if (IsAsciiLabel(body.type.charset)) return kAscii;
  const Encoding labelled = EncodingLabelled(body.type.charset).value_or(kUtf8);
  return labelled == kUtf8 ? std::optional(kUtf8) : std::nullopt;
}

Rejection DecodeForm(std::string_view form, const Encoding& encoding, Fields* fields) {
  const std::optional<std::string> xml = XmlOfForm(form);
  if (!xml) return std::nullopt;  // no fields: of unknown shape
  Rejection rejection;
  std::string buffer;
  std::string_view bytes = *xml;
  if (const auto mark = FindByteOrderMark(bytes); mark && mark->encoding == kUtf8) {
    bytes.remove_prefix(mark->size);
  }
  const auto text = ToUtf8(bytes, encoding, &buffer, &rejection);
  return text ? DecodeXmlText(*text, fields) : rejection;
}

Rejection DecodeNarrow(Format format, const Body& body, Fields* fields) {
  const std::optional<Encoding> encoding = NarrowEncoding(body);
  if (!encoding) return RejectEncoding("JSON and forms must be in UTF-8");
  Rejection rejection;
  std::string buffer;
  const auto text = ToUtf8(body.bytes, *encoding, &buffer, &rejection);
  if (!text) return rejection;
  if (format == Format::kForm) return DecodeForm(*text, *encoding, fields);
  if (const auto error = DecodeJson(*text, fields)) return RejectSyntax(*error, *text);
  return std::nullopt;
}

Body BodyOf(std::string_view bytes, std::string_view content_type) {
  Body body{.bytes = bytes, .mark = {}, .type = ParseMediaType(content_type)};
  if (const auto mark = FindByteOrderMark(bytes)) {
    body.mark = mark->encoding;
    body.bytes.remove_prefix(mark->size);
  }
  return body;
}

Rejection InflateBody(const Postback& postback, ContentCoding coding, std::string* inflated) {
  switch (Inflate(postback.body, coding, postback.max_bytes, inflated)) {
    case Inflated::kDone:
      return std::nullopt;
    case Inflated::kTooLarge:
      return Reject(Reason::kBodyTooLarge,
                    fmt::format("the body is inflated to more than {} bytes", postback.max_bytes));
    case Inflated::kBroken:
      return RejectEncoding("the body is not one whole stream of its Content-Encoding");
  }
  return std::nullopt;
}

Rejection DecodeText(const Body& body, Fields* fields) {
  const std::optional<char> first = FirstCharacter(body);
  if (!first) return Reject(Reason::kEmptyBody, "the body is empty");
  const std::optional<Format> format = FormatOf(*first, body.type.kind);
  if (!format) {
    return Reject(Reason::kUnsupportedMediaType,
                  "neither XML nor JSON by its first byte or its Content-Type");
  }
  if (!Fits(*format, body.type.kind)) fields->Warn(Warning::kContentTypeMismatch);
  return *format == Format::kXml ? DecodeXmlBody(body, fields)
                                 : DecodeNarrow(*format, body, fields);
}

// The size as received aside, which is judged before there is a body.
Rejection Decode(const Postback& postback, Fields* fields) {
  Body body = BodyOf(postback.body, postback.content_type);
  if (!FirstByte(body)) return Reject(Reason::kEmptyBody, "the body is empty");
  if (body.type.kind == MediaKind::kMultipart) {
    return Reject(Reason::kUnsupportedMediaType, "multipart bodies are not understood");
  }
  const ContentCoding coding = ParseContentEncoding(postback.content_encoding);
  if (coding == ContentCoding::kNone) return DecodeText(body, fields);
  if (coding == ContentCoding::kOther) {
    return Reject(Reason::kUnsupportedMediaType,
                  "a Content-Encoding other than gzip, deflate and identity");
  }
  std::string inflated;
  if (Rejection rejection = InflateBody(postback, coding, &inflated)) return rejection;
  return DecodeText(BodyOf(inflated, postback.content_type), fields);
}

}  // namespace

Judgement Judge(const Postback& postback, v1::MmsMo* message) {
  Fields fields;
  if (Rejection rejection = Decode(postback, &fields)) return *std::move(rejection);

  Finding finding = Examine(fields);
  Judgement judgement;
  if (!fields.conflicting(Field::kTrackingId) && fields.bad(Field::kTrackingId).empty()) {
    judgement.tracking_id = fields[Field::kTrackingId];
  }
  if (finding.reason != Reason::kNone) {
    judgement.verdict = Verdict::kQuarantined;
    judgement.reason = finding.reason;
    judgement.detail = std::move(finding.detail);
    return judgement;
  }
  const std::vector<ExtraText> extras = ExtraTexts(fields);
  const Fingerprints fingerprints = FingerprintsOf(fields, extras);
  judgement.fingerprint = fingerprints.current;
  judgement.earlier_fingerprint = fingerprints.earlier;
  FillMessage(fields, extras, message);
  return judgement;
}

}  // namespace mmsmo::postback
