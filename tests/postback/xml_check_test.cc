#include "gateway/postback/xml_check.h"

#include <gtest/gtest.h>

#include <string>

namespace mmsmo::postback {
namespace {

using std::string_view_literals::operator""sv;

TEST(XmlCheck, LetsWellFormedDocumentsPass) {
  const std::string_view cases[] = {
      "<a/>",
      "<a></a>",
      "<a ></a >",
      " \n<a/>\n",
      "<?xml version='1.0'?><a/>",
      "\n<?xml version='1.0'?><a/>",
      "<!-- x --><a/><!-- > < & -- y --><?pi?>",
      "<a b=\"1\" c = '2\"' />",
      "<a b='a > b &amp; c &bogus;'/>",
      "<a>&lt;&#65;&#x1F600;&nbsp;& &;&#;&#x;&#65 &#xZ;</a>",
      "<a><![CDATA[<&]]]]><![CDATA[>&#0;]]></a>",
      "<a><b/><b>x</b>tail</a>",
      "<é:b-._1/>",
      "<a>\xef\xbf\xbd \x7f ]]></a>",
      "<a><?pi < & ?></a>",
  };
  for (std::string_view xml : cases) {
    XmlFacts facts;
    const auto error = CheckXml(xml, &facts);
    EXPECT_FALSE(error) << xml << ": " << Describe(*error, xml);
  }
}

TEST(XmlCheck, SaysWhatIsWrongAndWhere) {
  const struct {
    std::string_view xml;
    std::string_view error;
  } cases[] = {
      {"", "there is no root element, at line 1, column 1"},
      {"<!-- only -->", "there is no root element, at line 1, column 14"},
      {"x<a/>", "text before the root element, at line 1, column 1"},
      {"<a/>\nx", "text after the root element, at line 2, column 1"},
      {"<a/><b/>", "a second root element, at line 1, column 5"},
      {"<a>é", "the document ends inside an element, at line 1, column 5"},
      {"<a>&#", "the document ends inside an element, at line 1, column 6"},
      {"<a>&#x1", "the document ends inside an element, at line 1, column 8"},
      {"<?", "a processing instruction without a target, at line 1, column 1"},
      {"<a b=", "an attribute's value without quotes, at line 1, column 6"},
      {"<a", "a tag without an end, at line 1, column 1"},
      {"<a>é</b>", "an end tag that does not fit its start tag, at line 1, column 5"},
      {"</a>", "an end tag without a start tag, at line 1, column 1"},
      {"<a></a", "an end tag without an end, at line 1, column 7"},
      {"<a>< b/></a>", "a < that begins no element, at line 1, column 4"},
      {"<a><1/></a>", "a < that begins no element, at line 1, column 4"},
      {"<a b>", "an attribute without a value, at line 1, column 5"},
      {"<a b=c/>", "an attribute's value without quotes, at line 1, column 6"},
      {"<a b='c/>", "an attribute's value without an end, at line 1, column 7"},
      {"<a b='<'/>", "a < in an attribute's value, at line 1, column 7"},
      {"<a b='1'c='2'/>", "a tag that is not well-formed, at line 1, column 9"},
      {"<a/ >", "a tag that is not well-formed, at line 1, column 3"},
      {"<a b='&#0;'/>", "a reference to a forbidden character, at line 1, column 7"},
      {"<a>&#xD800;</a>", "a reference to a forbidden character, at line 1, column 4"},
      {"<a>&#x1F;</a>", "a reference to a forbidden character, at line 1, column 4"},
      {"<a>&#xFFFE;</a>", "a reference to a forbidden character, at line 1, column 4"},
      {"<a>&#x110000;</a>", "a reference to a forbidden character, at line 1, column 4"},
      {"<a>&#99999999999999999999;</a>",
       "a reference to a forbidden character, at line 1, column 4"},
      {"<a>\x01</a>", "a control character, at line 1, column 4"},
      {"<a>\0</a>"sv, "a control character, at line 1, column 4"},
      {"<a/>\0"sv, "text after the root element, at line 1, column 5"},
      {"<a><!-- \x01 --></a>", "a control character, at line 1, column 9"},
      {"<a><![CDATA[\x01]]></a>", "a control character, at line 1, column 13"},
      {"<a>\xef\xbf\xbe</a>", "a non-character, at line 1, column 4"},
      {"<a\xef\xbf\xbf/>", "a tag that is not well-formed, at line 1, column 3"},
      {"<a><!-- </a>", "a comment without an end, at line 1, column 4"},
      {"<a><![CDATA[</a>", "a CDATA section without an end, at line 1, column 4"},
      {"<a><?pi </a>", "a processing instruction without an end, at line 1, column 4"},
      {"<?><a/>", "a processing instruction without a target, at line 1, column 1"},
      {"<a><!DOCTYPE x></a>", "a declaration where none may be, at line 1, column 4"},
      {"<![CDATA[x]]><a/>", "a CDATA section outside of the root element, at line 1, column 1"},
  };
  for (const auto& one : cases) {
    XmlFacts facts;
    const auto error = CheckXml(one.xml, &facts);
    ASSERT_TRUE(error) << one.xml;
    EXPECT_EQ(error->reason, Reason::kBadXml) << one.xml;
    EXPECT_EQ(Describe(*error, one.xml), one.error) << one.xml;
  }
}

std::string Nested(int depth) {
  std::string xml;
  for (int i = 0; i < depth; ++i) xml += "<a>";
  for (int i = 0; i < depth; ++i) xml += "</a>";
  return xml;
}

TEST(XmlCheck, AllowsSixtyFourLevels) {
  XmlFacts facts;
  EXPECT_FALSE(CheckXml(Nested(64), &facts));
  EXPECT_EQ(CheckXml(Nested(65), &facts)->reason, Reason::kTooDeep);
  EXPECT_EQ(CheckXml(Nested(100'000), &facts)->reason, Reason::kTooDeep);
  EXPECT_EQ(CheckXml("<b c>" + Nested(100), &facts)->reason, Reason::kBadXml)
      << "whichever comes first in the bytes";
}

TEST(XmlCheck, NotesNamespacesOtherThanXsi) {
  const struct {
    std::string_view xml;
    bool unknown;
  } cases[] = {
      {"<a/>", false},
      {"<a xmlns:xsi='http://www.w3.org/2001/XMLSchema-instance' xsi:type='b'/>", false},
      {"<a xmlns:i='http://www.w3.org/2001/XMLSchema-instance'/>", false},
      {"<a xmlns='urn:x'/>", true},
      {"<a xmlns:p='urn:x'/>", true},
      {"<a><p:b/></a>", true},
      {"<a><b xmlns='urn:x'/></a>", true},
  };
  for (const auto& one : cases) {
    XmlFacts facts;
    ASSERT_FALSE(CheckXml(one.xml, &facts)) << one.xml;
    EXPECT_EQ(facts.unknown_namespace, one.unknown) << one.xml;
  }
}

TEST(XmlCheck, FindsADoctypeInThePrologOnly) {
  for (std::string_view xml :
       {"<!DOCTYPE a><a/>", " <!doctype a>", "<?xml version='1.0'?>\n<!-- < -->\n<!DocType a [",
        "junk<!DOCTYPE a>"}) {
    EXPECT_TRUE(HasDoctype(xml)) << xml;
  }
  for (std::string_view xml :
       {"<a/>", "<!-- <!DOCTYPE a> --><a/>", "<a><![CDATA[<!DOCTYPE a>]]></a>", "<?pi <!DOCTYPE ?>",
        "<!-- <!DOCTYPE a>", "", "<a/><!DOCTYPE a>"}) {
    EXPECT_FALSE(HasDoctype(xml)) << xml;
  }
}

TEST(XmlCheck, ReadsTheDeclaredEncoding) {
  EXPECT_EQ(DeclaredEncoding("<?xml version='1.0' encoding='ISO-8859-1'?><a/>"), "ISO-8859-1");
  EXPECT_EQ(DeclaredEncoding(" <?xml version=\"1.0\" encoding = \"utf-8\" ?>"), "utf-8");
  EXPECT_EQ(DeclaredEncoding("<?xml version='1.0'?><a encoding='x'/>"), "");
  EXPECT_EQ(DeclaredEncoding("<?xml-stylesheet encoding='x'?>"), "");
  EXPECT_EQ(DeclaredEncoding("<?xml encoding='x"), "");
  EXPECT_EQ(DeclaredEncoding("<a/>"), "");
}

}  // namespace
}  // namespace mmsmo::postback
