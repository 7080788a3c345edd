// The same facts as XML and as JSON, in any of the shapes that senders give them: the input chooses
// facts and shapes, and both must be judged alike, warnings and structured extras aside.

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <iterator>
#include <map>
#include <string>
#include <vector>

#include "gateway/postback/ascii.h"
#include "gateway/postback/encoding.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/judge.h"

namespace mmsmo::fuzz {
namespace {

using postback::AppendUtf8;

// A text as code points that XML allows, which are fewer than JSON's.
using Text = std::u32string;

template <size_t N>
std::string_view OneOf(const std::string_view (&choices)[N], Input& input) {
  return choices[input.Below(N)];
}

// A byte of the input gives a character: ASCII itself, the others what decoders stumble over.
char32_t CharacterOf(char c) {
  static constexpr char32_t kOthers[] = {0x7f,   0x85,    0xa0,    0xe9,    0x7ff,
                                         0x800,  0x2028,  0xd7ff,  0xe000,  0xfffd,
                                         0xfeff, 0x10000, 0x1f600, 0x10ffff};
  const auto byte = static_cast<uint8_t>(c);
  if (byte >= 0x80) return kOthers[byte % std::size(kOthers)];
  if (byte >= 0x20 || postback::IsSpace(c)) return byte;
  return ' ';
}

Text ReadText(Input& input) {
  static constexpr std::string_view kUsual[] = {"MMS_MO",
                                                "n401",
                                                "+1 (408) 225-7140",
                                                "14082257140",
                                                "+45 32 12 34 56/TYPE=PLMN",
                                                "442079460958",
                                                "28444",
                                                "007",
                                                "a@b.example",
                                                "2026-04-24T18:34:00Z",
                                                "2014-02-03t11:19:60.1234567-05:00",
                                                "31002",
                                                "https://a.example/b.jpg?c=d&e=f#g",
                                                "ftp://a/b.smil",
                                                "",
                                                " ",
                                                "null",
                                                "]]>",
                                                "\"\\/\r\n\t<&>"};
  const size_t choice = input.Below(std::size(kUsual) + 3);
  Text text;
  for (const char c : choice < std::size(kUsual) ? kUsual[choice] : input.Text())
    text += CharacterOf(c);
  return text;
}

std::string Utf8(const Text& text) {
  std::string utf8;
  for (const char32_t c : text) AppendUtf8(c, &utf8);
  return utf8;
}

void AppendEscapedForXml(char32_t c, std::string* out) {
  switch (c) {
    case '<':
      *out += "&lt;";
      break;
    case '>':
      *out += "&gt;";
      break;
    case '&':
      *out += "&amp;";
      break;
    case '\r':  // a parser makes a newline of it
      *out += "&#xd;";
      break;
    default:
      AppendUtf8(c, out);
  }
}

std::string CData(const Text& text) {
  std::string xml = "<![CDATA[";
  for (const char32_t c : text) {
    if (c == '>') xml += "]]><![CDATA[";  // never after two ]
    AppendUtf8(c, &xml);
  }
  return xml + "]]>";
}

std::string XmlOf(const Text& text, Input& input) {
  enum { kEscaped, kReferences, kParted, kCData, kStyles };
  const size_t style = input.Below(kStyles);
  if (style == kCData && text.find('\r') == Text::npos) return CData(text);
  std::string xml;
  for (const char32_t c : text) {
    if (style == kReferences) {
      xml += c % 2 == 0 ? fmt::format("&#{};", uint32_t{c}) : fmt::format("&#x{:x};", uint32_t{c});
    } else {
      AppendEscapedForXml(c, &xml);
    }
    if (style == kParted) xml += c % 2 == 0 ? "<!-- - -->" : "<?p i?>";
  }
  return xml;
}

void AppendEscapedForJson(char32_t c, std::string* out) {
  if (c == '"' || c == '\\') {
    *out += '\\';
    AppendUtf8(c, out);
  } else if (c < 0x20) {
    *out += fmt::format("\\u{:04x}", static_cast<uint32_t>(c));
  } else {
    AppendUtf8(c, out);
  }
}

void AppendAsCodeUnits(char32_t c, std::string* out) {
  if (c >= 0x10000) {
    *out += fmt::format("\\u{:04X}", static_cast<uint32_t>(0xd800 + ((c - 0x10000) >> 10)));
    c = 0xdc00 + ((c - 0x10000) & 0x3ff);
  }
  *out += fmt::format("\\u{:04x}", static_cast<uint32_t>(c));
}

std::string JsonOf(const Text& text, Input& input) {
  enum { kEscaped, kCodeUnits, kNumber, kStyles };
  const size_t style = input.Below(kStyles);
  std::string utf8 = Utf8(text);
  if (style == kNumber && postback::IsDigits(utf8) && (utf8.size() == 1 || utf8[0] != '0'))
    return utf8;
  std::string json = "\"";
  for (const char32_t c : text) {
    style == kCodeUnits ? AppendAsCodeUnits(c, &json) : AppendEscapedForJson(c, &json);
  }
  return json + '"';
}

// A value that is absent, in each of the ways that are there.
std::string AbsentJson(Input& input) {
  return std::string(OneOf({"null", "{}", "[]", "\"\"", "\" \\n\""}, input));
}

// A document in both formats, as it grows. Known fields, and what they hold, have any of their
// names.
class Twins {
 public:
  explicit Twins(Input* input) : input_(*input) {
    xml_start_ = OneOf({"", "<?xml version='1.0'?>", "<!--c-->", "\xef\xbb\xbf"}, input_);
    json_start_ = OneOf({"", " ", "\xef\xbb\xbf"}, input_);
    envelopes_.resize(input_.Below(3));
    for (Envelope& envelope : envelopes_) {
      envelope.name = OneOf({"postback", "NOTIFICATION", "Post-Back"}, input_);
      envelope.name_in_json = NameInJson(envelope.name);
      envelope.in_array = input_.Below(4) == 1;
    }
  }

  void AddFact() {
    enum { kContent, kCopyTo, kExtra, kStructure, kAbsent, kScalars };
    switch (input_.Below(kScalars + 8)) {
      case kContent:
        return AddList("content", OneOf({"content", "CONTENT", "Con_tent"}, input_),
                       {"file", "Fi_le"});
      case kCopyTo:
        return AddList("copy-to", OneOf({"copy-to", "copyTo"}, input_), {"number", "NUMBER"});
      case kExtra:
        return AddExtra();
      case kStructure:
        return AddStructure();
      case kAbsent:
        return AddAbsent(ScalarName());
      default:
        return AddText(ScalarName());
    }
  }
  // So that not every document lacks something.
  void AddRequired() {
    AddText("code", U"N401");
    AddText("from", U"14082257140");
    AddText("to");
    AddText("tracking-id");
  }

  std::string Xml() const {
    std::string xml = xml_;
    for (const Envelope& envelope : envelopes_)
      xml = fmt::format("<{0}>{1}</{0}>", envelope.name, xml);
    return fmt::format("{}<root xmlns:xsi=\"x\">{}</root>\n", xml_start_, xml);
  }
  std::string Json() const {
    std::string json = "{" + json_ + "}";
    for (const Envelope& envelope : envelopes_) {
      if (envelope.in_array) json = fmt::format("[{}]", json);
      json = fmt::format("{{{} : {}}}", envelope.name_in_json, json);
    }
    return std::string(json_start_) + json + "\n";
  }
  // Those that must have the same value in both.
  bool IsScalar(const std::string& extra) const {
    const auto found = extras_.find(extra);
    return found != extras_.end() && found->second == 1;
  }
  bool HasStructures() const {
    return std::any_of(extras_.begin(), extras_.end(), [](const auto& e) { return e.second > 1; });
  }

 private:
  struct Envelope {
    std::string_view name;
    std::string name_in_json;
    bool in_array = false;  // what it holds, in JSON
  };

  std::string_view ScalarName() {
    return OneOf({"origin", "ORIGIN", "code", "from", "From", "to", "keyword", "tracking-id",
                  "TRACKINGID", "tracking_id", "operator-id", "SPID", "operatorId", "timestamp",
                  "time-stamp", "message-subject", "SUBJECT", "messageSubject"},
                 input_);
  }

  // A name is the same however its characters are written.
  std::string NameInJson(std::string_view name) {
    if (input_.Below(4) != 1) return fmt::format("\"{}\"", name);
    return fmt::format("\"\\u{:04x}{}\"", static_cast<int>(name[0]), name.substr(1));
  }

  void Add(std::string_view name, std::string_view xml, std::string_view json) {
    xml_ += xml.empty() && input_.Below(2) == 0 ? fmt::format("<{} />", name)
                                                : fmt::format("<{0}>{1}</{0}>", name, xml);
    xml_ += OneOf({"", "\n  ", "<!-- c -->", "text"}, input_);
    if (!json_.empty()) json_ += ',';
    json_ += NameInJson(name) + ":" + std::string(json);
  }

  void AddText(std::string_view name, const Text& text) {
    const std::string xml = XmlOf(text, input_);
    Add(name, xml, JsonOf(text, input_));
  }

  void AddText(std::string_view name) { AddText(name, ReadText(input_)); }
  void AddAbsent(std::string_view name) { Add(name, "", AbsentJson(input_)); }

  void AddExtra() {
    const std::string_view name =
        OneOf({"note", "Note", "no-te", "file", "number", "postback", "n.1"}, input_);
    const Text text = ReadText(input_);
    if (!postback::Trim(Utf8(text)).empty()) ++extras_[std::string(name)];
    AddText(name, text);
  }

  // What is no text, in an unknown field or in a known one, which it makes a bad one. Of one
  // spelling: whether it conflicts with another is decided on its text, which in XML has its name.
  void AddStructure() {
    const std::string_view name = input_.Below(2) == 0 ? "keyword" : "note";
    if (name == "note") extras_["note"] = 2;
    Add(name, "<a>1</a>", R"({"a":"1"})");
  }

  // <content><file>…</file></content> and [{"file": …}], or what converters make of them, perhaps
  // with members of other names.
  void AddList(std::string_view field, std::string_view name,
               const std::string_view (&entry_names)[2]) {
    enum { kObjects, kTexts, kObjectOfArray, kShapes };
    const size_t shape = input_.Below(kShapes);
    const std::string_view entry_name = OneOf(entry_names, input_);
    const size_t count = input_.Below(4);
    std::string xml, json, members;
    for (size_t i = 0; i < count; ++i) {
      const Text text = ReadText(input_);
      const bool absent = postback::Trim(Utf8(text)).empty();
      const std::string value = XmlOf(text, input_);
      const bool loose = shape == kTexts && count == 1 && input_.Below(2) == 0;
      xml += loose ? value : fmt::format("<{0}>{1}</{0}>", entry_name, value);
      std::string entry = absent && shape != kTexts ? AbsentJson(input_) : JsonOf(text, input_);
      if (shape == kObjects) entry = fmt::format("{}:{}", NameInJson(entry_name), entry);
      if (input_.Below(4) == 1) {
        const std::string member = AddMember(field, &xml);
        if (shape == kObjects) entry += "," + member;
        if (shape == kTexts) entry += fmt::format(",{{{}}}", member);
        if (shape == kObjectOfArray) members += "," + member;
      }
      if (i > 0) json += ',';
      json += shape == kObjects ? fmt::format("{{{}}}", entry) : entry;
    }
    const bool has_objects = shape == kTexts && json.find('{') != std::string::npos;
    const bool alone = count == 1 && !has_objects && input_.Below(2) == 0;
    if (!alone) json = "[" + json + "]";
    if (shape == kObjectOfArray)
      json = fmt::format("{{{}:{}{}}}", NameInJson(entry_name), json, members);
    Add(name, xml, json);
  }

  // Returns what it is in JSON.
  std::string AddMember(std::string_view field, std::string* xml) {
    const std::string_view name = OneOf({"type", "Si-ze", "postback"}, input_);
    const Text text = ReadText(input_);
    if (!postback::Trim(Utf8(text)).empty()) ++extras_[fmt::format("{}.{}", field, name)];
    *xml += fmt::format("<{0}>{1}</{0}>", name, XmlOf(text, input_));
    return fmt::format("{}:{}", NameInJson(name), JsonOf(text, input_));
  }

  Input& input_;
  std::string xml_;
  std::string json_;
  std::string_view xml_start_;
  std::string_view json_start_;
  std::vector<Envelope> envelopes_;    // the innermost first
  std::map<std::string, int> extras_;  // the unknown fields, and how often they have a value
};

void RequireSameExtras(const v1::MmsMo& a, const v1::MmsMo& b, const Twins& twins) {
  Require(a.extra_size() == b.extra_size(), "twins have the same unknown fields");
  for (const auto& [name, value] : a.extra()) {
    const auto other = b.extra().find(name);
    Require(other != b.extra().end(), "twins have the same unknown fields");
    Require(!twins.IsScalar(name) || other->second == value, "of the same values");
  }
}

std::string WithoutWarningsAndExtras(v1::MmsMo message) {
  message.clear_warnings();
  message.clear_extra();
  return Serialise(message);
}

void Fuzz(Input input) {
  Twins twins(&input);
  if (input.Below(4) > 0) twins.AddRequired();
  while (!input.AtEnd()) twins.AddFact();
  const std::string xml = twins.Xml();
  const std::string json = twins.Json();
  const Judged of_xml = Judge({.body = xml, .content_type = "text/xml", .content_encoding = ""});
  const Judged of_json =
      Judge({.body = json, .content_type = "application/json", .content_encoding = ""});
  const bool same =
      of_xml.judgement.verdict == of_json.judgement.verdict &&
      of_xml.judgement.reason == of_json.judgement.reason &&
      of_xml.judgement.tracking_id == of_json.judgement.tracking_id &&
      (twins.HasStructures() || of_xml.judgement.fingerprint == of_json.judgement.fingerprint) &&
      of_xml.judgement.earlier_fingerprint == of_json.judgement.earlier_fingerprint &&
      WithoutWarningsAndExtras(of_xml.message) == WithoutWarningsAndExtras(of_json.message);
  if (!same) std::fprintf(stderr, "%s\n%s\n", xml.c_str(), json.c_str());
  Require(same, "twins are judged alike");
  RequireSameExtras(of_xml.message, of_json.message, twins);
}

}  // namespace
}  // namespace mmsmo::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  mmsmo::fuzz::Fuzz({data, size});
  return 0;
}
