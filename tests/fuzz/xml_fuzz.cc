// Any bytes as XML.

#include <simdjson.h>

#include "gateway/postback/xml.h"
#include "gateway/postback/xml_check.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/judge.h"

namespace mmsmo::fuzz {
namespace {

void Fuzz(std::string_view body) {
  Judge({.body = body, .content_type = "text/xml", .content_encoding = ""});
  if (!simdjson::validate_utf8(body.data(), body.size())) return;

  postback::XmlFacts facts;
  const auto error = postback::CheckXml(body, &facts);
  postback::Fields fields;
  Require(postback::DecodeXml(body, &fields).has_value() == error.has_value(),
          "pugixml reads what was checked");
  if (!error) RequireWellFormedExtras(fields);
}

}  // namespace
}  // namespace mmsmo::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  mmsmo::fuzz::Fuzz(mmsmo::fuzz::View(data, size));
  return 0;
}
