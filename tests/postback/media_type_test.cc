#include "gateway/postback/media_type.h"

#include <gtest/gtest.h>

namespace mmsmo::postback {
namespace {

TEST(MediaType, KnowsXmlJsonFormsAndMultipart) {
  const struct {
    std::string_view field;
    MediaKind kind;
    std::string_view charset;
  } cases[] = {
      {"", MediaKind::kNone, ""},
      {"  ", MediaKind::kNone, ""},
      {"text/xml", MediaKind::kXml, ""},
      {"Application/XML; Charset=UTF-8", MediaKind::kXml, "utf-8"},
      {"application/soap+xml;charset=\"ISO-8859-1\"", MediaKind::kXml, "iso-8859-1"},
      {"application/json ; a=b ; charset = \"utf\\-8\"", MediaKind::kJson, "utf-8"},
      {"text/json", MediaKind::kJson, ""},
      {"application/vnd.x.y+json", MediaKind::kJson, ""},
      {"application/x-www-form-urlencoded; charset=", MediaKind::kForm, ""},
      {"multipart/form-data; boundary=x", MediaKind::kMultipart, ""},
      {"text/plain", MediaKind::kOther, ""},
      {"xml", MediaKind::kOther, ""},
      {";charset=utf-8", MediaKind::kNone, "utf-8"},
      {";;;", MediaKind::kNone, ""},
  };
  for (const auto& one : cases) {
    const MediaType type = ParseMediaType(one.field);
    EXPECT_EQ(type.kind, one.kind) << one.field;
    EXPECT_EQ(type.charset, one.charset) << one.field;
  }
}

}  // namespace
}  // namespace mmsmo::postback
