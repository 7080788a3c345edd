#include "gateway/embedded/log/schema.h"

#include <string>

#include "tests/support/status_matchers.h"

namespace mmsmo::embedded {
namespace {

TEST(Record, IsReadAsItWasWritten) {
  RecordHeader header{.key = MakePostbackKey("mms-mo", "id"),
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
  AppendRecord({.key = MakePostbackKey("e", "id"), .accept_micros = 5, .log_bytes = 6}, "", "event",
               &bytes);
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

TEST(PostbackKey, TellsEndpointsAndIdsApart) {
  EXPECT_EQ(MakePostbackKey("a", "b"), MakePostbackKey("a", "b"));
  EXPECT_NE(MakePostbackKey("a", "b"), MakePostbackKey("a", "B"));
  EXPECT_NE(MakePostbackKey("a", "b"), MakePostbackKey("ab", ""));
  EXPECT_NE(MakePostbackKey("", "ab"), MakePostbackKey("a", "b"));
}

TEST(Raw, IsReadAsItWasWritten) {
  const std::string body("a\0b", 3);
  const auto raw = DecodeRaw(EncodeRaw("text/xml", body));
  ASSERT_THAT(raw, IsOk());
  EXPECT_EQ(raw->content_type, "text/xml");
  EXPECT_EQ(raw->body, body);
  EXPECT_THAT(DecodeRaw("short"), StatusIs(absl::StatusCode::kDataLoss, testing::_));
  EXPECT_THAT(DecodeRaw(std::string(8, '\xff') + "x"),
              StatusIs(absl::StatusCode::kDataLoss, testing::_));
}

}  // namespace
}  // namespace mmsmo::embedded
