#include "client/command/print.h"

#include <gtest/gtest.h>

namespace mmsmo::command {
namespace {

v1::Event AnEvent() {
  v1::Event event;
  event.set_cursor("AQ");
  event.mutable_accept_time()->set_seconds(1391444389);
  v1::MmsMo& message = *event.mutable_mms_mo();
  message.set_tracking_id("MMS_MO_1");
  message.mutable_sender()->set_value("14082257140");
  message.mutable_sender()->set_kind(v1::ADDRESS_KIND_LONG_CODE);
  message.mutable_recipient()->set_value("28444");
  message.set_subject("hi");
  message.add_media()->set_url("https://a/1.jpg");
  message.mutable_media(0)->set_kind(v1::MEDIA_KIND_IMAGE);
  message.add_warnings("no_content");
  return event;
}

TEST(Pretty, ShowsWhatIsThere) {
  EXPECT_EQ(Pretty(AnEvent()),
            "2014-02-03T16:19:49Z  MMS_MO_1\n"
            "  from      14082257140 (long code)\n"
            "  to        28444\n"
            "  subject   hi\n"
            "  image     https://a/1.jpg\n"
            "  warnings  no_content\n"
            "  cursor    AQ\n"
            "\n");
}

TEST(Pretty, KeepsControlCharactersFromTheTerminal) {
  v1::Event event = AnEvent();
  event.mutable_mms_mo()->set_subject(
      "a\x1b[2Jb\xC2\x9B"
      "c\nd\xC3\xA9");
  EXPECT_NE(Pretty(event).find("  subject   a [2Jb c d\xC3\xA9\n"), std::string::npos);
}

TEST(Pretty, TurnsNoDirectionsOfText) {
  v1::Event event = AnEvent();
  // U+2029, U+202A–202E, U+202F, U+2065, U+2066–2069 and U+206A; then cut off.
  event.mutable_mms_mo()->set_subject(
      "\u2029.\u202a.\u202b.\u202c.\u202d.\u202e.\u202f.\u2065.\u2066.\u2067.\u2068.\u2069.\u206a."
      "\xE2\x80");
  EXPECT_NE(
      Pretty(event).find("  subject   \u2029. . . . . .\u202f.\u2065. . . . .\u206a.\xE2\x80\n"),
      std::string::npos);
}

TEST(JsonLine, EscapesWhatTurnsDirectionsOfText) {
  v1::Event event;
  event.mutable_mms_mo()->set_subject("a\u202eb\u2066\u2069c€\u206ad");
  const std::string line = JsonLine(event);
  EXPECT_EQ(line, "{\"mmsMo\":{\"subject\":\"a\\u202eb\\u2066\\u2069c€\\u206ad\"}}\n");
}

v1::QuarantinedPostback AQuarantinedPostback() {
  v1::QuarantinedPostback postback;
  postback.set_id("AgAAAAAAAAABzt5aU11h");
  postback.mutable_accept_time()->set_seconds(1391444389);
  postback.mutable_accept_time()->set_nanos(123456000);
  postback.set_reason("id_conflict");
  postback.set_http_status(200);
  postback.set_content_type("text/xml\t\x1b[2J");
  postback.set_body_bytes(321);
  postback.set_tracking_id("MMS\n1");
  return postback;
}

TEST(Pretty, ShowsWhatIsKnownOfAQuarantinedPostback) {
  EXPECT_EQ(Pretty(AQuarantinedPostback()),
            "2014-02-03T16:19:49.123456Z  AgAAAAAAAAABzt5aU11h\n"
            "  reason    id_conflict\n"
            "  answered  200\n"
            "  tracking  MMS 1\n"
            "  type      text/xml  [2J\n"
            "  bytes     321\n"
            "\n");
}

TEST(QuarantineRow, StandsUnderItsHeading) {
  EXPECT_EQ(
      QuarantineHeading(),
      "ID                    ACCEPTED              REASON                  STATUS       BYTES  "
      "TRACKING ID\n");
  EXPECT_EQ(
      QuarantineRow(AQuarantinedPostback()),
      "AgAAAAAAAAABzt5aU11h  2014-02-03T16:19:49Z  id_conflict                200         321  "
      "MMS 1\n");
}

TEST(ReprocessedRow, SaysWhereOrWhy) {
  v1::ReprocessQuarantinedResponse response;
  response.set_id("AgAAAAAAAAAB");
  response.set_outcome("accepted");
  response.set_cursor("AQ");
  EXPECT_EQ(ReprocessedRow(response), "AgAAAAAAAAAB  accepted     AQ\n");
  response.set_outcome("quarantined");
  response.set_reason("bad_xml");
  EXPECT_EQ(ReprocessedRow(response), "AgAAAAAAAAAB  quarantined  bad_xml\n");
}

TEST(JsonLine, IsOneLine) {
  EXPECT_EQ(JsonLine(v1::Event()), "{}\n");
  EXPECT_EQ(JsonLine(AnEvent()).find('\n'), JsonLine(AnEvent()).size() - 1);
}

}  // namespace
}  // namespace mmsmo::command
