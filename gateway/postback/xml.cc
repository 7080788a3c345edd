#include "gateway/postback/xml.h"

#include <pugixml.hpp>
#include <sstream>
#include <string>
#include <utility>

#include "gateway/postback/ascii.h"
#include "gateway/postback/encoding.h"
#include "gateway/postback/xml_check.h"

namespace mmsmo::postback {
namespace {

constexpr unsigned kParseFlags = pugi::parse_cdata | pugi::parse_escapes | pugi::parse_eol;

bool IsElement(pugi::xml_node node) { return node.type() == pugi::node_element; }

std::string_view LocalName(pugi::xml_node element) {
  std::string_view name = element.name();
  name.remove_prefix(name.rfind(':') + 1);  // npos + 1 is 0
  return name;
}

// The element's source, near enough: comments and processing instructions are gone.
std::string Markup(pugi::xml_node element) {
  std::ostringstream out;
  element.print(out, "", pugi::format_raw | pugi::format_no_declaration);
  return out.str();
}

Value ValueOf(pugi::xml_node element, Fields* fields) {
  const pugi::xml_node first = element.first_child();
  if (!first) return {};
  if (!IsElement(first) && !first.next_sibling()) return {.text = Trim(first.value())};
  std::string joined;  // comments and CDATA sections part the text
  for (pugi::xml_node child : element) {
    if (IsElement(child)) {
      return {.type = Value::Type::kXml, .text = fields->Keep(Markup(element))};
    }
    joined += child.value();
  }
  return {.text = Trim(fields->Keep(std::move(joined)))};
}

// Text where elements are documented is taken for what they would hold.
void AddLooseText(Field list, std::string text, Fields* fields) {
  if (Trim(text).empty()) return;
  fields->Warn(Warning::kContentShape);
  fields->Add(list, {.text = Trim(fields->Keep(std::move(text)))});
}

// <content><file>…</file>…</content>, and <copy-to> with <number>: a block of one list.
void ReadBlock(Field list, std::string_view entry_name, pugi::xml_node block, Fields* fields) {
  std::string loose;  // comments and CDATA sections part it
  for (pugi::xml_node child : block) {
    if (!IsElement(child)) {
      loose += child.value();
      continue;
    }
    if (!loose.empty()) AddLooseText(list, std::exchange(loose, {}), fields);
    if (IsNamed(LocalName(child), entry_name)) {
      fields->Add(list, ValueOf(child, fields));
    } else {
      fields->AddMember(list, child.name(), ValueOf(child, fields));
    }
  }
  AddLooseText(list, std::move(loose), fields);
}

void ReadField(pugi::xml_node element, Fields* fields) {
  const std::optional<Field> field = FieldNamed(LocalName(element));
  if (!field) return fields->AddExtra(element.name(), ValueOf(element, fields));
  switch (*field) {
    case Field::kContent:
      return ReadBlock(*field, "file", element, fields);
    case Field::kCopyTo:
      return ReadBlock(*field, "number", element, fields);
    default:
      return fields->Set(*field, ValueOf(element, fields));
  }
}

// The only child element; none where there are several.
pugi::xml_node OnlyChild(pugi::xml_node element) {
  pugi::xml_node only;
  for (pugi::xml_node child : element) {
    if (!IsElement(child)) continue;
    if (only) return {};
    only = child;
  }
  return only;
}

// Each pair as the character that it is.
void Copy(std::string_view xml, const std::vector<SurrogatePair>& pairs, std::string* out) {
  out->clear();
  size_t copied = 0;
  for (const SurrogatePair& pair : pairs) {
    out->append(xml.substr(copied, pair.begin - copied));
    AppendUtf8(pair.character, out);
    copied = pair.end;
  }
  out->append(xml.substr(copied));
}

}  // namespace

std::optional<SyntaxError> DecodeXml(std::string_view xml, Fields* fields) {
  XmlFacts facts;
  if (auto error = CheckXml(xml, &facts)) return error;
  if (facts.unknown_namespace) fields->Warn(Warning::kUnknownNamespace);

  // pugixml parses in place: the values stay in this buffer when the document is gone.
  static thread_local std::string buffer;
  Copy(xml, facts.surrogate_pairs, &buffer);
  pugi::xml_document document;
  const unsigned flags = facts.parted_text ? kParseFlags | pugi::parse_ws_pcdata : kParseFlags;
  const pugi::xml_parse_result parsed =
      document.load_buffer_inplace(buffer.data(), buffer.size(), flags, pugi::encoding_utf8);
  if (!parsed) {
    return SyntaxError{.reason = Reason::kBadXml,
                       .offset = static_cast<size_t>(parsed.offset),
                       .what = parsed.description()};
  }
  pugi::xml_node element = document.document_element();
  for (auto child = OnlyChild(element); child && IsEnvelope(LocalName(child));
       child = OnlyChild(element)) {
    element = child;
  }
  for (pugi::xml_node child : element) {
    if (IsElement(child)) ReadField(child, fields);
  }
  return std::nullopt;
}

}  // namespace mmsmo::postback
