#include "gateway/embedded/log/schema.h"

#include <string>

#include "gateway/embedded/store/big_endian.h"
#include "tests/support/status_matchers.h"

namespace mmsmo::embedded {
namespace {

TEST(Record, IsReadAsItWasWritten) {
  RecordHeader header{.key = broker::MakePostbackKey("mms-mo", "id"),
                      .accept_micros = 1'700'000'000'000'001,
                      .age = {.era = 3, .micros = 77},
                      .log_bytes = 123,
                      .previous = 9};
  header.content.fill(7);
  std::string bytes;
  AppendRecord(header, "prefix", "rest", &bytes);
  const auto record = DecodeRecord(bytes);
  ASSERT_THAT(record, IsOk());
  EXPECT_EQ(record->header.key, header.key);
  EXPECT_EQ(record->header.content, header.content);
  EXPECT_EQ(record->header.accept_micros, header.accept_micros);
  EXPECT_EQ(record->header.age, header.age);
  EXPECT_EQ(record->header.log_bytes, header.log_bytes);
  EXPECT_EQ(record->header.previous, header.previous);
  EXPECT_EQ(record->event, "prefixrest");
}

TEST(Record, OfVersionOneIsAsOldAsItsTime) {
  std::string bytes;
  AppendRecord({.key = broker::MakePostbackKey("e", "id"), .accept_micros = 5, .log_bytes = 6}, "",
               "event", &bytes);
  bytes[0] = 1;
  bytes.erase(50, 20);  // what version 2 has more
  const auto record = DecodeRecord(bytes);
  ASSERT_THAT(record, IsOk());
  EXPECT_EQ(record->header.accept_micros, 5);
  EXPECT_EQ(record->header.age, (AgeStamp{.era = 0, .micros = 5}));
  EXPECT_EQ(record->header.log_bytes, 6u);
  EXPECT_EQ(record->header.previous, 0u);
  EXPECT_EQ(record->event, "event");
}

TEST(Record, CutShortOrOfAnotherVersionIsDataLoss) {
  std::string bytes;
  AppendRecord({}, "", "", &bytes);
  EXPECT_THAT(DecodeRecord(bytes), IsOk());
  for (size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_THAT(DecodeRecord(bytes.substr(0, size)),
                StatusIs(absl::StatusCode::kDataLoss, testing::_))
        << size;
  }
  bytes[0] = 3;
  EXPECT_THAT(DecodeRecord(bytes), StatusIs(absl::StatusCode::kDataLoss, testing::_));
}

TEST(Raw, IsReadAsItWasWritten) {
  const std::string body("a\0b", 3);
  const std::string bytes = EncodeRaw("text/xml", "gzip", body);
  const auto raw = DecodeRaw(bytes);
  ASSERT_THAT(raw, IsOk());
  EXPECT_EQ(raw->content_type, "text/xml");
  EXPECT_EQ(raw->content_encoding, "gzip");
  EXPECT_EQ(raw->body, body);
  for (size_t size = 0; size < bytes.size() - body.size(); ++size)
    EXPECT_THAT(DecodeRaw(bytes.substr(0, size)),
                StatusIs(absl::StatusCode::kDataLoss, testing::_));
  EXPECT_THAT(DecodeRaw(std::string(9, '\xff') + "x"),
              StatusIs(absl::StatusCode::kDataLoss, testing::_));
}

TEST(Raw, OfBeforeItHadAVersionIsRead) {
  std::string bytes;
  AppendBigEndian(uint64_t{8}, &bytes);
  const auto raw = DecodeRaw(bytes + "text/xmlbody");
  ASSERT_THAT(raw, IsOk());
  EXPECT_EQ(raw->content_type, "text/xml");
  EXPECT_EQ(raw->content_encoding, "");
  EXPECT_EQ(raw->body, "body");
  EXPECT_THAT(DecodeRaw(bytes + "short"), StatusIs(absl::StatusCode::kDataLoss, testing::_));
}

}  // namespace
}  // namespace mmsmo::embedded
