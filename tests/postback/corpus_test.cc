// Every case of the corpus through Judge: the outcome, the reason, and the message.

#include "tests/postback/corpus.h"

#include <gmock/gmock.h>
#include <google/protobuf/util/json_util.h>
#include <gtest/gtest.h>

#include <map>
#include <string>
#include <utility>

#include "gateway/base/phone_number.h"
#include "gateway/postback/postback.h"

namespace mmsmo::postback {
namespace {

using simdjson::dom::element;

std::string ToJson(const v1::MmsMo& message) {
  std::string json;
  EXPECT_TRUE(google::protobuf::util::MessageToJsonString(message, &json).ok());
  return json;
}

// Empty where there is none.
std::string_view TextAt(const simdjson::simdjson_result<element>& value) {
  std::string_view text;
  return value.get(text) == simdjson::SUCCESS ? text : "";
}

Judgement JudgeCase(const CorpusCase& one, element expected, v1::MmsMo* message) {
  return Judge({.body = one.body,
                .content_type = std::string_view(expected["content_type"]),
                .content_encoding = TextAt(expected["headers"]["Content-Encoding"])},
               message);
}

// Expects what `wanted` says of `got`, which may say more.
void ExpectSubset(element wanted, element got, const std::string& where) {
  if (wanted.is_object()) {
    for (const auto& [key, value] : simdjson::dom::object(wanted)) {
      const std::string child = where + "." + std::string(key);
      element found;
      ASSERT_EQ(got[key].get(found), simdjson::SUCCESS) << child << " is missing";
      ExpectSubset(value, found, child);
    }
  } else if (wanted.is_array()) {
    const simdjson::dom::array list(wanted);
    const simdjson::dom::array found(got);
    ASSERT_EQ(list.size(), found.size()) << where;
    for (size_t i = 0; i < list.size(); ++i) {
      ExpectSubset(list.at(i), found.at(i), where + "[" + std::to_string(i) + "]");
    }
  } else {
    EXPECT_EQ(simdjson::minify(wanted), simdjson::minify(got)) << where;
  }
}

void ExpectAbsent(std::string_view path, element message) {
  element at = message;
  std::string_view rest = path;
  while (!rest.empty()) {
    const std::string_view part = rest.substr(0, rest.find('.'));
    if (at[part].get(at) != simdjson::SUCCESS) return;
    rest.remove_prefix(std::min(part.size() + 1, rest.size()));
  }
  ADD_FAILURE() << path << " is there";
}

// What the journal answers is beyond Judge: a duplicate and an id conflict are accepted here.
Verdict VerdictOf(element expected) {
  const std::string_view outcome(expected["outcome"]);
  if (outcome == "rejected") return Verdict::kRejected;
  if (outcome != "quarantined" || std::string_view(expected["reason"]) == "id_conflict") {
    return Verdict::kAccepted;
  }
  return Verdict::kQuarantined;
}

void ExpectMessage(element expected, const v1::MmsMo& message) {
  const std::string json = ToJson(message);
  simdjson::dom::parser parser;
  const element got = parser.parse(json);
  if (element wanted; expected["message"].get(wanted) == simdjson::SUCCESS) {
    ExpectSubset(wanted, got, "");
    std::vector<std::string> warnings;
    if (simdjson::dom::array list; wanted["warnings"].get(list) == simdjson::SUCCESS) {
      for (element warning : list) warnings.emplace_back(std::string_view(warning));
    }
    EXPECT_THAT(message.warnings(), testing::UnorderedElementsAreArray(warnings));
  }
  if (simdjson::dom::array absent; expected["absent"].get(absent) == simdjson::SUCCESS) {
    for (element path : absent) ExpectAbsent(std::string_view(path), got);
  }
}

TEST(Corpus, EveryCaseIsJudgedAsExpected) {
  const auto cases = ReadCorpus();
  ASSERT_GE(cases.size(), 154u);
  for (const CorpusCase& one : cases) {
    SCOPED_TRACE(one.name);
    simdjson::dom::parser parser;
    const element expected = parser.parse(one.expected);
    if (int64_t(expected["status"]) == 413) continue;  // judged before there is a body
    v1::MmsMo message;
    const Judgement judgement = JudgeCase(one, expected, &message);
    EXPECT_EQ(judgement.verdict, VerdictOf(expected)) << judgement.detail;
    if (judgement.verdict == Verdict::kAccepted) {
      EXPECT_EQ(judgement.reason, Reason::kNone);
      EXPECT_EQ(judgement.tracking_id, message.tracking_id());
      ExpectMessage(expected, message);
    } else {
      EXPECT_EQ(Name(judgement.reason), TextAt(expected["reason"])) << judgement.detail;
      EXPECT_NE(judgement.detail, "");
      EXPECT_EQ(message.ByteSizeLong(), 0u);
    }
  }
}

TEST(Corpus, TheSameIdAndRecipientHaveTheSameFingerprintExactlyWhereItIsADuplicate) {
  std::map<std::pair<std::string, std::string>, Fingerprint> first;
  int repeated = 0;
  for (const CorpusCase& one : ReadCorpus()) {
    SCOPED_TRACE(one.name);
    simdjson::dom::parser parser;
    const element expected = parser.parse(one.expected);
    v1::MmsMo message;
    const Judgement judgement = JudgeCase(one, expected, &message);
    if (judgement.verdict != Verdict::kAccepted) continue;
    const auto [known, is_new] =
        first.emplace(std::pair(judgement.tracking_id, AddressKey(message.recipient().value())),
                      judgement.fingerprint);
    if (is_new) continue;
    ++repeated;
    EXPECT_EQ(judgement.fingerprint == known->second,
              std::string_view(expected["outcome"]) == "duplicate");
  }
  EXPECT_GE(repeated, 4);
}

TEST(Corpus, TwinsInXmlAndJsonGiveTheSameMessage) {
  v1::MmsMo of_xml, of_json;
  const auto xml = ReadFile("tests/corpus/twin-xml.body");
  const auto json = ReadFile("tests/corpus/twin-json.body");
  ASSERT_EQ(Judge({.body = xml, .content_type = "application/xml", .content_encoding = ""}, &of_xml)
                .verdict,
            Verdict::kAccepted);
  ASSERT_EQ(
      Judge({.body = json, .content_type = "application/json", .content_encoding = ""}, &of_json)
          .verdict,
      Verdict::kAccepted);
  of_xml.clear_tracking_id();
  of_json.clear_tracking_id();
  EXPECT_EQ(ToJson(of_xml), ToJson(of_json));
}

}  // namespace
}  // namespace mmsmo::postback
