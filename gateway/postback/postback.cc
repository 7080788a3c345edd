#include "gateway/postback/postback.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "gateway/postback/ascii.h"
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

// The body without its byte order mark, and what is said about it from outside.
struct Body {
  std::string_view bytes;
  std::optional<Encoding> mark;
  MediaType type;

  bool IsWide() const { return mark && *mark != Encoding::kUtf8; }
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

// Of a body that a charset parameter or an XML declaration says to be in `name`.
std::optional<Encoding> Declared(std::string_view name) {
  switch (EncodingNamed(name)) {
    case NamedEncoding::kUtf8:
    // Wide in word only: the bytes are plainly 8-bit.
    case NamedEncoding::kWide:
      return Encoding::kUtf8;
    case NamedEncoding::kAscii:
      return Encoding::kAscii;
    case NamedEncoding::kLatin1:
      return Encoding::kLatin1;
    case NamedEncoding::kUnknown:
      return std::nullopt;
  }
  return std::nullopt;
}

// UTF-16 and UTF-32 put a zero beside the < that begins the document.
bool LooksWide(std::string_view bytes) {
  const size_t less = bytes.find('<');
  if (less == std::string_view::npos) return false;
  return (less > 0 && bytes[less - 1] == '\0') ||
         (less + 1 < bytes.size() && bytes[less + 1] == '\0');
}

std::optional<std::string_view> ToUtf8(std::string_view bytes, Encoding encoding,
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
  Encoding encoding = Encoding::kUtf8;
  if (body.mark) {
    encoding = *body.mark;
  } else if (LooksWide(body.bytes)) {
    return RejectEncoding("UTF-16 or UTF-32 without a byte order mark");
  } else {
    const std::string_view name =
        body.type.charset.empty() ? DeclaredEncoding(body.bytes) : body.type.charset;
    if (!name.empty()) {
      const auto declared = Declared(name);
      if (!declared) return RejectEncoding("an encoding that XML postbacks may not be in");
      encoding = *declared;
    }
  }
  Rejection rejection;
  std::string buffer;
  const auto text = ToUtf8(body.bytes, encoding, &buffer, &rejection);
  return text ? DecodeXmlText(*text, fields) : rejection;
}

// JSON and forms are in UTF-8, or in US-ASCII, which is a part of it.
std::optional<Encoding> NarrowEncoding(const Body& body) {
  if (body.IsWide()) return std::nullopt;
  if (body.mark || body.type.charset.empty()) return Encoding::kUtf8;
  switch (EncodingNamed(body.type.charset)) {
    case NamedEncoding::kUtf8:
      return Encoding::kUtf8;
    case NamedEncoding::kAscii:
      return Encoding::kAscii;
    default:
      return std::nullopt;
  }
}

Rejection DecodeForm(std::string_view form, Encoding encoding, Fields* fields) {
  const std::optional<std::string> xml = XmlOfForm(form);
  if (!xml) return std::nullopt;  // no fields: of unknown shape
  Rejection rejection;
  std::string buffer;
  std::string_view bytes = *xml;
  if (const auto mark = FindByteOrderMark(bytes); mark && mark->encoding == Encoding::kUtf8) {
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

// The size aside, which is judged before there is a body.
Rejection Decode(const Postback& postback, Fields* fields) {
  Body body{.bytes = postback.body, .mark = {}, .type = ParseMediaType(postback.content_type)};
  if (const auto mark = FindByteOrderMark(body.bytes)) {
    body.mark = mark->encoding;
    body.bytes.remove_prefix(mark->size);
  }
  const std::optional<char> first_byte = FirstByte(body);
  if (!first_byte) return Reject(Reason::kEmptyBody, "the body is empty");

  const std::string_view coding = Trim(postback.content_encoding);
  if (!coding.empty() && !EqualsIgnoringCase(coding, "identity")) {
    return Reject(Reason::kUnsupportedMediaType, "a Content-Encoding other than identity");
  }
  if (body.type.kind == MediaKind::kMultipart) {
    return Reject(Reason::kUnsupportedMediaType, "multipart bodies are not understood");
  }
  const std::optional<Format> format = FormatOf(*first_byte, body.type.kind);
  if (!format) {
    return Reject(Reason::kUnsupportedMediaType,
                  "neither XML nor JSON by its first byte or its Content-Type");
  }
  if (!Fits(*format, body.type.kind)) fields->Warn(Warning::kContentTypeMismatch);
  return *format == Format::kXml ? DecodeXmlBody(body, fields)
                                 : DecodeNarrow(*format, body, fields);
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
