// Any bytes as a form, and any text as the XML in one: then the form changes nothing.

#include <fmt/format.h>
#include <simdjson.h>

#include <string>

#include "gateway/postback/ascii.h"
#include "gateway/postback/form.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/judge.h"

namespace mmsmo::fuzz {
namespace {

constexpr std::string_view kForm = "application/x-www-form-urlencoded";

std::string FormOf(std::string_view xml) {
  std::string form = "other=1&XML=";
  for (const char c : xml) {
    if (c == ' ') {
      form += '+';
    } else if (c == '&' || c == '+' || c == '%' || postback::IsDigit(c)) {
      form += fmt::format("%{:02x}", static_cast<uint8_t>(c));
    } else {
      form += c;
    }
  }
  return form;
}

void RequireFormChangesNothing(std::string_view xml) {
  const std::string form = FormOf(xml);
  Require(postback::XmlOfForm(form) == xml, "a form gives back the XML that was put into it");
  // A form is UTF-8 whatever the XML in it declares.
  const Judged direct =
      Judge({.body = xml, .content_type = "text/xml; charset=utf-8", .content_encoding = ""});
  const Judged in_form = Judge({.body = form, .content_type = kForm, .content_encoding = ""});
  Require(direct.judgement.reason == in_form.judgement.reason, "a form changes no reason");
  Require(direct.judgement.detail == in_form.judgement.detail, "a form changes no detail");
  Require(direct.judgement.fingerprint == in_form.judgement.fingerprint, "a form changes no fact");
  Require(Serialise(direct.message) == Serialise(in_form.message), "a form changes no message");
}

void Fuzz(std::string_view body) {
  Judge({.body = body, .content_type = kForm, .content_encoding = ""});
  const bool is_text = simdjson::validate_utf8(body.data(), body.size()) &&
                       body.find('\0') == std::string_view::npos;
  if (is_text && postback::Trim(body).starts_with('<')) RequireFormChangesNothing(body);
}

}  // namespace
}  // namespace mmsmo::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  mmsmo::fuzz::Fuzz(mmsmo::fuzz::View(data, size));
  return 0;
}
