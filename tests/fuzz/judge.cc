#include "tests/fuzz/judge.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <simdjson.h>

#include <algorithm>
#include <map>
#include <string>

#include "gateway/postback/ascii.h"
#include "gateway/postback/json_check.h"
#include "gateway/postback/normalise.h"
#include "gateway/postback/xml_check.h"
#include "tests/fuzz/fuzz.h"

namespace mmsmo::fuzz {
namespace {

using postback::Fields;
using postback::Judgement;
using postback::Reason;
using postback::Value;
using postback::Verdict;

// Static text, with names of fields and numbers at most.
constexpr size_t kMaxDetailBytes = 200;

bool IsPrintableAscii(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c >= ' ' && c <= '~'; });
}

void RequireTrimmed(std::string_view value) {
  Require(value == postback::Trim(value), "a value is trimmed");
}

void RequireAddress(const v1::Address& address) {
  Require(!address.value().empty(), "an address has a value");
  RequireTrimmed(address.value());
  const std::string_view e164 = address.e164();
  Require(e164.empty() || (e164[0] == '+' && postback::IsDigits(e164.substr(1))),
          "an E.164 number is + and digits");
}

void RequireMessage(const v1::MmsMo& message, const postback::Postback& postback) {
  for (const std::string* value :
       {&message.origin(), &message.code(), &message.tracking_id(), &message.keyword(),
        &message.operator_id(), &message.timestamp(), &message.subject()}) {
    RequireTrimmed(*value);
  }
  RequireAddress(message.sender());
  RequireAddress(message.recipient());
  for (const v1::Address& address : message.copy_to()) RequireAddress(address);
  for (const v1::Media& media : message.media()) {
    Require(!media.url().empty(), "a file has a URL");
    RequireTrimmed(media.url());
  }
  for (const auto& [name, value] : message.extra()) {
    Require(!value.empty(), "an unknown field has a value");
    RequireTrimmed(value);
  }
  const std::string bytes = Serialise(message);
  // An escape makes six bytes of one, a field costs a few bytes of its own.
  Require(bytes.size() <= 8 * postback.body.size() + 1024, "a message is not much larger");
  v1::MmsMo parsed;
  Require(parsed.ParseFromString(bytes), "a message is valid UTF-8");
}

}  // namespace

std::string Serialise(const v1::MmsMo& message) {
  std::string bytes;
  google::protobuf::io::StringOutputStream stream(&bytes);
  google::protobuf::io::CodedOutputStream coded(&stream);
  coded.SetSerializationDeterministic(true);
  message.SerializeToCodedStream(&coded);
  coded.Trim();
  return bytes;
}

Judged Judge(const postback::Postback& postback) {
  Judged judged;
  judged.judgement = postback::Judge(postback, &judged.message);
  const Judgement& judgement = judged.judgement;
  Require((judgement.verdict == Verdict::kAccepted) == (judgement.reason == Reason::kNone),
          "a reason is given for what is not accepted, and only for that");
  Require(simdjson::validate_utf8(judgement.tracking_id), "a tracking id is valid UTF-8");
  RequireTrimmed(judgement.tracking_id);
  if (judgement.verdict == Verdict::kAccepted) {
    Require(judgement.detail.empty(), "what is accepted needs no detail");
    Require(!judgement.tracking_id.empty(), "what is accepted has a tracking id");
    Require(judgement.tracking_id == judged.message.tracking_id(), "and the message has the same");
    RequireMessage(judged.message, postback);
  } else {
    Require(!judgement.detail.empty(), "a detail is given for what is not accepted");
    Require(judgement.detail.size() <= kMaxDetailBytes && IsPrintableAscii(judgement.detail),
            "a detail repeats nothing of the body");
    Require(judgement.verdict == Verdict::kQuarantined || judgement.tracking_id.empty(),
            "what is not decoded has no tracking id");
    Require(judged.message.ByteSizeLong() == 0, "what is not accepted has no message");
  }

  v1::MmsMo again;
  const Judgement second = postback::Judge(postback, &again);
  Require(second.verdict == judgement.verdict && second.reason == judgement.reason &&
              second.detail == judgement.detail && second.tracking_id == judgement.tracking_id &&
              second.fingerprint == judgement.fingerprint &&
              second.earlier_fingerprint == judgement.earlier_fingerprint &&
              Serialise(again) == Serialise(judged.message),
          "judging twice gives the same");
  return judged;
}

void RequireWellFormedExtras(const Fields& fields) {
  std::map<std::string, int> times;
  for (const postback::Extra& extra : fields.extras()) {
    ++times[std::string(extra.name)];
    postback::JsonFacts json;
    postback::XmlFacts xml;
    Require(extra.value.type != Value::Type::kJson || !CheckJson(extra.value.text, &json),
            "a structure is JSON");
    Require(extra.value.type != Value::Type::kXml || !CheckXml(extra.value.text, &xml),
            "a structure is XML");
  }
  if (postback::Examine(fields).reason != Reason::kNone) return;
  v1::MmsMo message;
  postback::FillMessage(fields, postback::ExtraTexts(fields), &message);
  for (const auto& [name, count] : times) {
    postback::JsonFacts facts;
    Require(count == 1 || !CheckJson(message.extra().at(name), &facts),
            "repeated unknown fields are a JSON array");
  }
}

}  // namespace mmsmo::fuzz
