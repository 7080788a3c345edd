#include "gateway/postback/fingerprint.h"

#include <gtest/gtest.h>

#include "gateway/postback/json.h"
#include "gateway/postback/xml.h"

namespace mmsmo::postback {
namespace {

Fingerprints BothOfJson(std::string_view json) {
  Fields fields;
  EXPECT_FALSE(DecodeJson(json, &fields)) << json;
  return FingerprintsOf(fields, ExtraTexts(fields));
}
Fingerprint OfJson(std::string_view json) { return BothOfJson(json).current; }
Fingerprint OfXml(std::string_view xml) {
  Fields fields;
  EXPECT_FALSE(DecodeXml(xml, &fields)) << xml;
  return FingerprintsOf(fields, ExtraTexts(fields)).current;
}

std::string Hex(const Fingerprint& fingerprint) {
  std::string hex;
  for (uint8_t byte : fingerprint.digest) {
    hex += "0123456789abcdef"[byte >> 4];
    hex += "0123456789abcdef"[byte & 15];
  }
  return hex;
}

// Stored events carry it: a change must raise Fingerprint::kVersion.
TEST(Fingerprint, IsWhatItWasInVersionTwo) {
  const Fingerprint fingerprint =
      OfJson(R"({"from":"+1","content":[{"file":"u"}],"x":"y","z":{"a":[1, 2]}})");
  EXPECT_EQ(fingerprint.version, 2);
  EXPECT_EQ(Hex(fingerprint), "78cb8b60aa51e829263f3fdef36f7fcd");
}

TEST(Fingerprint, OfVersionOneIsWhatItWas) {
  const Fingerprint earlier =
      BothOfJson(R"({"from":"1","content":[{"file":"u"}],"x":"y"})").earlier;
  EXPECT_EQ(earlier.version, 1);
  EXPECT_EQ(Hex(earlier), "1a1302cfd9d78af7a08e91861a9159db");
  EXPECT_EQ(Hex(BothOfJson(R"({"from":"+1"})").earlier), "13026f874eaf58f326dc5765be4b4959");
}

TEST(Fingerprint, OfVersionOneLeavesOutWhatThatDidNotCover) {
  const auto plain = BothOfJson(R"({"from":"1","content":[{"file":"u"}]})").earlier;
  EXPECT_EQ(plain, BothOfJson(R"({"from":"1","content":[{"file":"u","type":"t"}],
                                  "nested":{"a":1},"twice":"a","twice":"b"})")
                       .earlier);
  EXPECT_FALSE(plain == BothOfJson(R"({"from":"+1","content":[{"file":"u"}]})").earlier);
  EXPECT_FALSE(plain == BothOfJson(R"({"from":"1","content":[{"file":"u"}],"x":"y"})").earlier);
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
  EXPECT_EQ(plain, OfJson(R"({"from":"1","keyword":"","x":null,"structured":{}})"));
}

TEST(Fingerprint, CountsANumberByItsDigits) {
  const auto plain = OfJson(R"({"from":"14082257140","to":"28444","copy-to":["442079460958"]})");
  EXPECT_EQ(plain, OfJson(R"({"from":"+1 (408) 225-7140","to":"28444/TYPE=PLMN",
                              "copy-to":["+44 20 7946 0958"]})"));
  EXPECT_FALSE(OfJson(R"({"keyword":"1-1"})") == OfJson(R"({"keyword":"11"})"));
  EXPECT_FALSE(OfJson(R"({"from":"a@b.example"})") == OfJson(R"({"from":"A@b.example"})"));
}

TEST(Fingerprint, CoversStructuresInCompactForm) {
  const auto plain = OfJson(R"({"from":"1","x":{"a":[1,2]},"y":"z"})");
  EXPECT_EQ(plain, OfJson(R"({"y":"z","from":"1","x":{ "a" : [ 1, 2 ] }})"));
  EXPECT_FALSE(plain == OfJson(R"({"from":"1","x":{"a":[1,3]},"y":"z"})"));
  EXPECT_FALSE(OfJson(R"({"content":[{"file":"u","type":"a"}]})") ==
               OfJson(R"({"content":[{"file":"u","type":"b"}]})"));
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
