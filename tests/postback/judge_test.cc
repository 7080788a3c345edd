// The order of judgement, and what the corpus does not show: details, and what they must not say.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "gateway/postback/postback.h"
#include "tests/support/deflate.h"

namespace mmsmo::postback {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

Judgement JudgeBody(std::string_view body, std::string_view content_type = "application/json",
                    std::string_view content_encoding = "") {
  v1::MmsMo message;
  return Judge({.body = body, .content_type = content_type, .content_encoding = content_encoding},
               &message);
}

TEST(Judge, FindsTheFirstReasonInTheOrderOfJudgement) {
  const struct {
    std::string_view body;
    std::string_view content_type;
    Reason reason;
  } cases[] = {
      {"", "multipart/form-data", Reason::kEmptyBody},
      {"\xef\xbb\xbf \n", "", Reason::kEmptyBody},
      {"\xff", "text/plain", Reason::kUnsupportedMediaType},
      {"<!DOCTYPE a>\xff", "text/xml", Reason::kBadEncoding},
      {"<a", "text/xml; charset=ebcdic", Reason::kBadXml},
      {"<?xml version='1.0' encoding='ebcdic'?><a", "text/xml", Reason::kBadEncoding},
      {"<a", "text/xml; charset=iso-2022-kr", Reason::kBadEncoding},
      {"\x1b(B<!DOCTYPE a>", "text/xml; charset=iso-2022-jp", Reason::kDtdForbidden},
      {"\x1b(B{}", "application/json; charset=iso-2022-jp", Reason::kBadEncoding},
      {"{}", "application/json; charset=iso-8859-1", Reason::kBadEncoding},
      {"{}", "application/json; charset=utf-8, application/json", Reason::kUnknownShape},
      {"{}", "application/json; charset=null", Reason::kUnknownShape},
      {"{}", "application/json; charset='utf-8'", Reason::kUnknownShape},
      {"{\"a\":\"\xc3\xa9\"}", "application/json; charset=us-ascii", Reason::kBadEncoding},
      {"<!DOCTYPE a><a", "text/xml", Reason::kDtdForbidden},
      {"<p><origin>a</origin><origin>b</origin>", "text/xml", Reason::kBadXml},
      {R"({"x":1})", "", Reason::kUnknownShape},
      {R"({"origin":"MMS_MO","origin":"MMS_MT","from":true})", "", Reason::kConflictingField},
      {R"({"origin":"MMS_MT","from":"1","from":"2"})", "", Reason::kNotMmsMo},
      {R"({"origin":true,"code":"N401","from":"1"})", "", Reason::kNotMmsMo},
      {R"({"origin":"MMS_MO","from":"1","from":"2","to":true})", "", Reason::kConflictingField},
      {R"({"origin":"MMS_MO","to":true})", "", Reason::kBadField},
      {R"({"origin":"MMS_MO","to":"1"})", "", Reason::kMissingField},
      {R"({"from":"","to":null})", "", Reason::kUnknownShape},
      {R"({"postback":[{"origin":"MMS_MO"},{"origin":"MMS_MO"}]})", "", Reason::kUnknownShape},
      {R"({"postback":{"notification":[{"origin":"MMS_MO"}]}})", "", Reason::kMissingField},
      {R"({"\u0070ost\u002Dback":{"origin":"MMS_MO"}})", "", Reason::kMissingField},
      {"xml=&b=2", "application/x-www-form-urlencoded", Reason::kUnknownShape},
      {"xml=<p/>&XML=<p/>", "application/x-www-form-urlencoded", Reason::kUnknownShape},
      {"xml={}", "application/x-www-form-urlencoded", Reason::kBadXml},
      {"xml=%3Cp%", "application/x-www-form-urlencoded", Reason::kBadXml},
      {"xml=%EF%BB%BF<p/>", "application/x-www-form-urlencoded", Reason::kUnknownShape},
      {"xml=%FF%FE<p/>", "application/x-www-form-urlencoded", Reason::kBadEncoding},
  };
  for (const auto& one : cases) {
    const Judgement judgement = JudgeBody(one.body, one.content_type);
    EXPECT_EQ(judgement.reason, one.reason) << one.body << ": " << Name(judgement.reason);
  }
}

TEST(Judge, InflatesContentEncodings) {
  EXPECT_EQ(JudgeBody("{}", "", " Identity ").reason, Reason::kUnknownShape);
  EXPECT_EQ(JudgeBody("{}", "", "br").reason, Reason::kUnsupportedMediaType);
  EXPECT_EQ(JudgeBody("{}", "", "gzip").reason, Reason::kBadEncoding);
  EXPECT_EQ(JudgeBody(Deflate("{}", /*gzip=*/true), "", "x-gzip").reason, Reason::kUnknownShape);
  EXPECT_EQ(JudgeBody(Deflate("{", /*gzip=*/false), "", "deflate").reason, Reason::kBadJson);
  EXPECT_EQ(JudgeBody(Deflate(" ", /*gzip=*/true), "", "gzip").reason, Reason::kEmptyBody);
  EXPECT_EQ(JudgeBody(Deflate("{}", true), "multipart/mixed", "gzip").reason,
            Reason::kUnsupportedMediaType);
  const std::string zeros = Deflate(std::string(kMostBodyBytes + 1, '0'), /*gzip=*/true);
  EXPECT_EQ(JudgeBody(zeros, "", "gzip").reason, Reason::kBodyTooLarge);
}

TEST(Judge, JoinsTheHalvesOfASurrogatePair) {
  const auto subject = [](std::string_view text) {
    const std::string body =
        "<p><code>N401</code><from>1</from><to>2</to><tracking-id>t</tracking-id><subject>" +
        std::string(text) + "</subject></p>";
    v1::MmsMo message;
    const auto judgement =
        Judge({.body = body, .content_type = "text/xml", .content_encoding = ""}, &message);
    return judgement.reason == Reason::kNone ? message.subject()
                                             : std::string(Name(judgement.reason));
  };
  EXPECT_EQ(subject("&#55357;&#56832;"), "😀");
  EXPECT_EQ(subject("a&#xD83D;&#xde00;b&#55357;&#xDE00;&amp;"), "a😀b😀&");
  EXPECT_EQ(subject("<![CDATA[&#55357;&#56832;]]>"), "&#55357;&#56832;");
  for (const std::string_view lone : {"&#55357;", "&#56832;&#55357;", "&#55357; &#56832;",
                                      "&#55357;&#55357;&#56832;", "&#55357;&#56832"}) {
    EXPECT_EQ(subject(lone), "bad_xml") << lone;
  }
}

TEST(Judge, NamesEveryMissingField) {
  EXPECT_EQ(JudgeBody(R"({"origin":"MMS_MO"})").detail, "missing or empty: tracking-id, from, to");
}

TEST(Judge, NamesTheFieldThatIsBad) {
  const struct {
    std::string_view member, detail;
  } cases[] = {
      {R"("from":true)", "from: a boolean"},
      {R"("to":1.5)", "to: a number that is not just digits"},
      {R"("keyword":{"a":1})", "keyword: an object or array where text is expected"},
      {R"("operator-id":[1])", "operator-id: an object or array where text is expected"},
      {R"("timestamp":-1)", "timestamp: a number that is not just digits"},
      {R"("subject":false)", "message-subject: a boolean"},
      {R"("copy-to":[{"number":true}])", "copy-to: a boolean"},
      {R"("content":[{"file":false}])", "content: a boolean"},
  };
  for (const auto& one : cases) {
    const Judgement judgement = JudgeBody(R"({"origin":"MMS_MO",)" + std::string(one.member) + "}");
    EXPECT_EQ(judgement.reason, Reason::kBadField) << one.member;
    EXPECT_EQ(judgement.detail, one.detail);
  }
  EXPECT_EQ(JudgeBody("<p><code>N401</code><from><a/></from></p>", "text/xml").detail,
            "from: child elements where text is expected");
}

TEST(Judge, KeepsRepeatedExtrasAsJson) {
  v1::MmsMo message;
  const std::string body =
      R"({"origin":"MMS_MO","from":"1","to":"2","tracking-id":"t","x":"a\"\u0001","x":{"b": 1},"x":2})";
  ASSERT_EQ(Judge({.body = body, .content_type = "", .content_encoding = ""}, &message).verdict,
            Verdict::kAccepted);
  EXPECT_EQ(message.extra().at("x"), R"(["a\"\u0001",{"b":1},2])");
}

TEST(Judge, SaysWhereTheSyntaxIsWrong) {
  EXPECT_THAT(JudgeBody("\n{\"a\":\n01}").detail, HasSubstr("line 3, column 1"));
  EXPECT_THAT(JudgeBody("<a>\n</b>", "").detail, HasSubstr("line 2, column 1"));
  EXPECT_THAT(JudgeBody("{\"a\":\"\xff\"}").detail, HasSubstr("at byte 7"));
}

TEST(Judge, KeepsTheTrackingIdOfWhatIsQuarantined) {
  EXPECT_EQ(JudgeBody(R"({"origin":"MMS_MO","tracking-id":" t1 "})").tracking_id, "t1");
  EXPECT_EQ(JudgeBody(R"({"origin":"MMS_MO","tracking-id":true})").tracking_id, "");
  EXPECT_EQ(JudgeBody(R"({"origin":"MMS_MO","tracking-id":"a","tracking-id":"b"})").tracking_id,
            "");
}

TEST(Judge, NeverRepeatsAValueInADetail) {
  for (std::string_view body :
       {R"({"origin":"SECRET","code":"SECRET"})",
        R"({"origin":"MMS_MO","from":{"SECRET":"SECRET"}})",
        R"({"origin":"MMS_MO","from":"SECRET","from":"SECRET2"})", R"({"from":"SECRET)",
        "<a>SECRET</SECRET>", "SECRET", R"({"SECRET":"\x"})"}) {
    EXPECT_THAT(JudgeBody(body).detail, Not(HasSubstr("SECRET"))) << body;
  }
}

TEST(Judge, WarnsOnceOfEachKind) {
  v1::MmsMo message;
  const std::string body =
      R"({"origin":"MMS_MO","from":123,"to":456,"tracking-id":789,"content":["a","b"]})";
  ASSERT_EQ(
      Judge({.body = body, .content_type = "text/plain", .content_encoding = ""}, &message).verdict,
      Verdict::kAccepted);
  EXPECT_THAT(message.warnings(), ElementsAre("content_type_mismatch", "content_shape",
                                              "number_typed", "file_url_invalid"));
}

TEST(Judge, TakesTimeLinearInTheBody) {
  std::string body = R"({"origin":"MMS_MO","code":"N401","from":"1","to":"2","tracking-id":"t")";
  for (int i = 0; i < 20'000; ++i) body += ",\"n" + std::to_string(i % 10'000) + "\":1";
  body += "}";
  v1::MmsMo message;
  ASSERT_EQ(Judge({.body = body, .content_type = "", .content_encoding = ""}, &message).verdict,
            Verdict::kAccepted);
  EXPECT_EQ(message.extra_size(), 10'000);
  EXPECT_EQ(message.extra().at("n7"), "[1,1]");
}

// Programs and dashboards rely on them: those of README.md and docs/postbacks.md.
TEST(Name, IsTheOneThatIsDocumented) {
  const std::pair<Reason, std::string_view> reasons[] = {
      {Reason::kNone, ""},
      {Reason::kBadXml, "bad_xml"},
      {Reason::kBadJson, "bad_json"},
      {Reason::kBadEncoding, "bad_encoding"},
      {Reason::kEmptyBody, "empty_body"},
      {Reason::kUnsupportedMediaType, "unsupported_media_type"},
      {Reason::kDtdForbidden, "dtd_forbidden"},
      {Reason::kTooDeep, "too_deep"},
      {Reason::kBodyTooLarge, "body_too_large"},
      {Reason::kMissingField, "missing_field"},
      {Reason::kBadField, "bad_field"},
      {Reason::kConflictingField, "conflicting_field"},
      {Reason::kNotMmsMo, "not_mms_mo"},
      {Reason::kUnknownShape, "unknown_shape"},
  };
  for (const auto& [reason, name] : reasons) EXPECT_EQ(Name(reason), name);
}

}  // namespace
}  // namespace mmsmo::postback
