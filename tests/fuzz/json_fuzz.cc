// Any bytes as JSON, compared with simdjson's DOM parser, which the gateway does not use.

#include <simdjson.h>

#include "gateway/postback/json.h"
#include "gateway/postback/json_check.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/judge.h"

namespace mmsmo::fuzz {
namespace {

void RequireSameAsDom(std::string_view json, const std::optional<postback::SyntaxError>& error) {
  static simdjson::dom::parser parser;
  const simdjson::error_code dom = parser.parse(json.data(), json.size()).error();
  // It refuses numbers that no double or 64-bit integer holds.
  Require(error || dom == simdjson::SUCCESS || dom == simdjson::NUMBER_ERROR,
          "simdjson reads what was checked");
  // This version of it takes halves of surrogate pairs.
  if (dom != simdjson::SUCCESS || json.find("\\u") != std::string_view::npos) return;
  Require(!error || error->reason == postback::Reason::kTooDeep, "what simdjson reads is JSON");
}

void Fuzz(std::string_view body) {
  Judge({.body = body, .content_type = "application/json", .content_encoding = ""});
  if (!simdjson::validate_utf8(body.data(), body.size())) return;

  postback::JsonFacts facts;
  const auto error = postback::CheckJson(body, &facts);
  RequireSameAsDom(body, error);
  postback::Fields fields;
  Require(postback::DecodeJson(body, &fields).has_value() == error.has_value(),
          "simdjson reads what was checked, on demand");
  if (!error && !fields.has_nul()) RequireWellFormedExtras(fields);
}

}  // namespace
}  // namespace mmsmo::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  mmsmo::fuzz::Fuzz(mmsmo::fuzz::View(data, size));
  return 0;
}
