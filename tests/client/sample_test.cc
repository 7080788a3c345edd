// The samples are what the gateway understands.

#include "client/command/sample.h"

#include <google/protobuf/util/message_differencer.h>
#include <gtest/gtest.h>

#include "gateway/postback/postback.h"

namespace mmsmo::command {
namespace {

v1::MmsMo Judged(const std::string& body) {
  v1::MmsMo message;
  const auto judgement = postback::Judge({.body = body}, &message);
  EXPECT_EQ(judgement.verdict, postback::Verdict::kAccepted) << judgement.detail << "\n" << body;
  return message;
}

TEST(Sample, SaysTheSameInBothFormats) {
  const Sample sample{.tracking_id = "MMSMO1",
                      .subject = "<&>\"'\\ \xF0\x9F\x98\x80",
                      .files = {"https://a/1.jpg?a=1&b=2", "https://a/2.mp4"},
                      .copy_to = {"14082257141", "14082257142"}};
  const v1::MmsMo from_xml = Judged(ToXml(sample)), from_json = Judged(ToJson(sample));
  EXPECT_TRUE(google::protobuf::util::MessageDifferencer::Equals(from_xml, from_json));
  EXPECT_EQ(from_xml.tracking_id(), "MMSMO1");
  EXPECT_EQ(from_xml.subject(), sample.subject);
  EXPECT_EQ(from_xml.media(0).url(), sample.files[0]);
  EXPECT_EQ(from_xml.copy_to_size(), 2);
  EXPECT_EQ(from_xml.warnings_size(), 0);
}

TEST(Sample, LeavesOutWhatIsEmpty) {
  const Sample sample{.keyword = "", .tracking_id = "MMSMO1", .files = {}};
  EXPECT_EQ(ToXml(sample).find("keyword"), std::string::npos);
  EXPECT_EQ(ToXml(sample).find("content"), std::string::npos);
  EXPECT_EQ(ToJson(sample).find("content"), std::string::npos);
  EXPECT_EQ(Judged(ToJson(sample)).keyword(), "");
}

TEST(Sample, HasNewTrackingIds) { EXPECT_NE(NewTrackingId(), NewTrackingId()); }

}  // namespace
}  // namespace mmsmo::command
