#include "gateway/postback/json_check.h"

#include <gtest/gtest.h>

#include <string>

namespace mmsmo::postback {
namespace {

TEST(JsonCheck, LetsJsonPass) {
  for (std::string_view json :
       {"{}", "[]", " { } ", "0", "-0", "1.5e+10", "2E-3", "1e5", "12345678901234567890123", "\"\"",
        "true", "null", "false", "[1,[2,{\"a\":[]}],\"x\"]",
        R"("\"\\\/\b\f\n\r\t\u00e9\uD83D\uDE00")", "{\"a\":1,\"a\":2}", "\"\x7f\""}) {
    JsonFacts facts;
    const auto error = CheckJson(json, &facts);
    EXPECT_FALSE(error) << json << ": " << Describe(*error, json);
  }
}

TEST(JsonCheck, SaysWhatIsWrongAndWhere) {
  const struct {
    std::string_view json;
    std::string_view error;
  } cases[] = {
      {"", "the document ends too early, at line 1, column 1"},
      {"{\"a\":1\n\"b\":2}", "no comma or }, at line 2, column 1"},
      {"[1 2]", "no comma or ], at line 1, column 4"},
      {"[1,]", "no JSON value, at line 1, column 4"},
      {"{\"a\":1,}", "no name in double quotes, at line 1, column 8"},
      {"{'a':1}", "no name in double quotes, at line 1, column 2"},
      {"{a:1}", "no name in double quotes, at line 1, column 2"},
      {"{\"a\" 1}", "no colon after a name, at line 1, column 6"},
      {"{\"é\":tru}", "no JSON value, at line 1, column 6"},
      {"[01]", "a number with a leading zero, at line 1, column 2"},
      {"[+1]", "no JSON value, at line 1, column 2"},
      {"[-]", "a minus without digits, at line 1, column 3"},
      {"[1.]", "a fraction without digits, at line 1, column 4"},
      {"[1e]", "an exponent without digits, at line 1, column 4"},
      {"[.5]", "no JSON value, at line 1, column 2"},
      {"[NaN]", "no JSON value, at line 1, column 2"},
      {"{} x", "text after the document, at line 1, column 4"},
      {"{}{}", "text after the document, at line 1, column 3"},
      {"[\"\n\"]", "a control character in a string, at line 1, column 3"},
      {"[\"a", "a string without an end, at line 1, column 2"},
      {"[\"a\\\"", "a string without an end, at line 1, column 2"},
      {"[\"\\x\"]", "an escape that JSON does not know, at line 1, column 3"},
      {"[\"\\u12g4\"]", "\\u without four hexadecimal digits, at line 1, column 3"},
      {"[\"\\ud800\"]", "a surrogate without its other half, at line 1, column 3"},
      {"[\"\\ud800\\u0041\"]", "a surrogate without its other half, at line 1, column 3"},
      {"[\"\\ud800\\ue000\"]", "a surrogate without its other half, at line 1, column 3"},
      {"[\"\\udc00\"]", "a surrogate without its other half, at line 1, column 3"},
      {"[}", "no JSON value, at line 1, column 2"},
      {"[1}", "no comma or ], at line 1, column 3"},
      {"{\"a\":1]", "no comma or }, at line 1, column 7"},
      {"[1", "the document ends too early, at line 1, column 3"},
      {"/**/{}", "no JSON value, at line 1, column 1"},
  };
  for (const auto& one : cases) {
    JsonFacts facts;
    const auto error = CheckJson(one.json, &facts);
    ASSERT_TRUE(error) << one.json;
    EXPECT_EQ(error->reason, Reason::kBadJson) << one.json;
    EXPECT_EQ(Describe(*error, one.json), one.error) << one.json;
  }
}

TEST(JsonCheck, AllowsSixtyFourLevels) {
  JsonFacts facts;
  EXPECT_FALSE(CheckJson(std::string(64, '[') + std::string(64, ']'), &facts));
  EXPECT_EQ(CheckJson(std::string(65, '['), &facts)->reason, Reason::kTooDeep);
  EXPECT_EQ(CheckJson("[01," + std::string(65, '['), &facts)->reason, Reason::kBadJson)
      << "whichever comes first in the bytes";
}

TEST(JsonCheck, NotesEscapedZeros) {
  JsonFacts facts;
  EXPECT_FALSE(CheckJson("[\"\\u0001 \\\\u0000\"]", &facts));
  EXPECT_FALSE(facts.has_nul);
  EXPECT_FALSE(CheckJson("{\"a\\u0000\":1}", &facts));
  EXPECT_TRUE(facts.has_nul);
}

TEST(JsonCheck, FindsTheEndOfAValue) {
  EXPECT_EQ(AfterJsonValue("1,2"), ",2");
  EXPECT_EQ(AfterJsonValue("\"a,\\\"]\" ,2"), " ,2");
  EXPECT_EQ(AfterJsonValue("{\"}\":[{}]}]"), "]");
  EXPECT_EQ(AfterJsonValue("[]"), "");
  EXPECT_EQ(AfterJsonValue("true}"), "}");
  EXPECT_EQ(AfterJsonValue("null ,1"), " ,1");
  EXPECT_EQ(AfterJsonValue("12"), "");
}

}  // namespace
}  // namespace mmsmo::postback
