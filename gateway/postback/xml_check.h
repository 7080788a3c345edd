// Whether a text is XML as the rules want it: everything that pugixml lets pass, checked before it
// is asked.

#pragma once

#include <cstddef>
#include <optional>
#include <string_view>
#include <vector>

#include "gateway/postback/syntax.h"

namespace mmsmo::postback {

// Whether a document type declaration stands before the root element, whatever else is wrong.
bool HasDoctype(std::string_view xml);

// The encoding that the XML declaration names; empty where there is none.
std::string_view DeclaredEncoding(std::string_view xml);

// Two references in a row that are the halves of a surrogate pair.
struct SurrogatePair {
  size_t begin = 0;  // of the first one
  size_t end = 0;    // of the second one
  char32_t character = 0;
};

struct XmlFacts {
  // A prefix, or an xmlns other than xsi's, is somewhere.
  bool unknown_namespace = false;
  // A comment, a CDATA section or a processing instruction inside of the root element may part a
  // text, so that a piece of it that is only white space counts.
  bool parted_text = false;
  // In the order of the text; pugixml would make two wrong characters of each.
  std::vector<SurrogatePair> surrogate_pairs;
};

// `xml` is valid UTF-8. Well-formedness is that of XML 1.0 (fifth edition), but: unknown entities
// and a bare & are text, the contents of comments are free, attributes may repeat, and the XML
// declaration may follow white space, and two references may be the halves of a
// surrogate pair. The first error in the bytes is returned.
std::optional<SyntaxError> CheckXml(std::string_view xml, XmlFacts* facts);

}  // namespace mmsmo::postback
