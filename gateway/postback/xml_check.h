// Whether a text is XML as the rules want it: everything that pugixml lets pass, checked before it
// is asked.

#pragma once

#include <optional>
#include <string_view>

#include "gateway/postback/syntax.h"

namespace mmsmo::postback {

// Whether a document type declaration stands before the root element, whatever else is wrong.
bool HasDoctype(std::string_view xml);

// The encoding that the XML declaration names; empty where there is none.
std::string_view DeclaredEncoding(std::string_view xml);

struct XmlFacts {
  // A prefix, or an xmlns other than xsi's, is somewhere.
  bool unknown_namespace = false;
  // A comment, a CDATA section or a processing instruction inside of the root element may part a
  // text, so that a piece of it that is only white space counts.
  bool parted_text = false;
};

// `xml` is valid UTF-8. Well-formedness is that of XML 1.0 (fifth edition), but: unknown entities
// and a bare & are text, the contents of comments are free, attributes may repeat, and the XML
// declaration may follow white space. The first error in the bytes is returned.
std::optional<SyntaxError> CheckXml(std::string_view xml, XmlFacts* facts);

}  // namespace mmsmo::postback
