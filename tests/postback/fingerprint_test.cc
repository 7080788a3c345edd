#include "gateway/postback/fingerprint.h"

#include <gtest/gtest.h>

#include "gateway/postback/json.h"
#include "gateway/postback/xml.h"

namespace mmsmo::postback {
namespace {

Fingerprint OfJson(std::string_view json) {
  Fields fields;
  EXPECT_FALSE(DecodeJson(json, &fields)) << json;
  return FingerprintOf(fields);
}
Fingerprint OfXml(std::string_view xml) {
  Fields fields;
  EXPECT_FALSE(DecodeXml(xml, &fields)) << xml;
  return FingerprintOf(fields);
}

// Stored events carry it: a change must raise Fingerprint::kVersion.
TEST(Fingerprint, IsWhatItWasInVersionOne) {
  const Fingerprint fingerprint = OfJson(R"({"from":"1","content":[{"file":"u"}],"x":"y"})");
  EXPECT_EQ(fingerprint.version, 1);
  std::string hex;
  for (uint8_t byte : fingerprint.digest) {
    hex += "0123456789abcdef"[byte >> 4];
    hex += "0123456789abcdef"[byte & 15];
  }
  EXPECT_EQ(hex, "1a1302cfd9d78af7a08e91861a9159db");
}

TEST(Fingerprint, IsTheSameInEitherFormatAndAnyOrder) {
  const auto json = OfJson(
      R"({"from":1,"to":"2","copy-to":[{"number":"3"},{"number":"4"}],"content":[{"file":"a"},{"file":"b"}],
          "extra":5,"list":["x","y"]})");
  EXPECT_EQ(json,
            OfXml("<p><content><file> b </file><file>a</file></content><to>2</to><from>1</from>"
                  "<copy-to><number>4</number><number>3</number></copy-to>"
                  "<list>x</list><list>y</list><extra>5</extra></p>"));
}

TEST(Fingerprint, LeavesOutWhatIsNoFact) {
  const auto plain = OfJson(R"({"from":"1"})");
  EXPECT_EQ(plain, OfJson(R"({"from":"1","origin":"MMS_MO","code":"N401","tracking-id":"t"})"));
  EXPECT_EQ(plain, OfJson(R"({"from":"1","keyword":"","x":null,"structured":{"a":1}})"));
}

TEST(Fingerprint, DiffersWhereAFactDoes) {
  const auto plain = OfJson(R"({"from":"1"})");
  for (std::string_view other :
       {R"({"from":"2"})", R"({"to":"1"})", R"({"from":"1","keyword":"k"})",
        R"({"from":"1","x":"1"})", R"({"from":"1","content":["u"]})",
        R"({"from":"1","copy-to":["3"]})", R"({"from":"1","timestamp":"t"})",
        R"({"from":"1","subject":"s"})", R"({"from":"1","operator-id":"1"})"}) {
    EXPECT_FALSE(plain == OfJson(other)) << other;
  }
  EXPECT_FALSE(OfJson(R"({"x":"ab","y":"c"})") == OfJson(R"({"x":"a","y":"bc"})"));
  EXPECT_FALSE(OfJson(R"({"content":["a","a"]})") == OfJson(R"({"content":["a"]})"));
}

}  // namespace
}  // namespace mmsmo::postback
