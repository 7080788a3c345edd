// How outcomes are answered: what the provider and its programs rely on.

#include <gtest/gtest.h>
#include <simdjson.h>

#include "gateway/http/postbacks.h"

namespace mmsmo::http {
namespace {

using ingest::Outcome;

std::string Field(const std::string& json, const char* name) {
  simdjson::dom::parser parser;
  simdjson::dom::element document;
  std::string_view text;
  EXPECT_EQ(parser.parse(json).get(document), simdjson::SUCCESS) << json;
  return document[name].get(text) == simdjson::SUCCESS ? std::string(text) : "";
}

TEST(Answers, AcceptedAndDuplicateGiveTheCursor) {
  Answer answer = AnswerFor({.kind = Outcome::Kind::kAccepted, .http_status = 200, .cursor = "AQ"});
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.content_type, "application/json");
  EXPECT_EQ(answer.body, R"({"outcome":"accepted","cursor":"AQ"})");
  answer = AnswerFor({.kind = Outcome::Kind::kDuplicate, .http_status = 200, .cursor = "AQ"});
  EXPECT_EQ(answer.body, R"({"outcome":"duplicate","cursor":"AQ"})");
}

TEST(Answers, QuarantinedSaysWhyAndWhere) {
  const Answer answer = AnswerFor({.kind = Outcome::Kind::kQuarantined,
                                   .http_status = 200,
                                   .reason = "missing_field",
                                   .detail = "\"from\" is missing",
                                   .quarantine_id = "q1"});
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.content_type, "application/json");
  EXPECT_EQ(Field(answer.body, "outcome"), "quarantined");
  EXPECT_EQ(Field(answer.body, "reason"), "missing_field");
  EXPECT_EQ(Field(answer.body, "detail"), "\"from\" is missing");
  EXPECT_EQ(Field(answer.body, "quarantineId"), "q1");
}

TEST(Answers, RejectedIsAProblem) {
  const Answer answer = AnswerFor({.kind = Outcome::Kind::kRejected,
                                   .http_status = 400,
                                   .reason = "bad_xml",
                                   .detail = "line 2, column 1: \\ and \n and \x01",
                                   .quarantine_id = "q1"});
  EXPECT_EQ(answer.status, 400);
  EXPECT_EQ(answer.content_type, "application/problem+json");
  EXPECT_EQ(answer.extra_headers, "");
  EXPECT_EQ(Field(answer.body, "title"), "Bad Request");
  EXPECT_EQ(Field(answer.body, "outcome"), "rejected");
  EXPECT_EQ(Field(answer.body, "reason"), "bad_xml");
  EXPECT_EQ(Field(answer.body, "detail"), "line 2, column 1: \\ and \n and \x01");
}

TEST(Answers, UnavailableSaysWhenToComeBack) {
  const Answer answer = AnswerFor(ingest::Unavailable("not_durable", "the disk is full"));
  EXPECT_EQ(answer.status, 503);
  EXPECT_EQ(answer.extra_headers, "Retry-After: 5\r\n");
  EXPECT_EQ(Field(answer.body, "outcome"), "unavailable");
  EXPECT_EQ(Field(answer.body, "reason"), "not_durable");
}

TEST(Answers, EveryStatusThatIsSentHasItsPhrase) {
  for (int status : {200, 400, 404, 405, 408, 411, 413, 415, 417, 431, 501, 503, 505}) {
    EXPECT_NE(ReasonPhrase(status), "") << status;
  }
}

}  // namespace
}  // namespace mmsmo::http
