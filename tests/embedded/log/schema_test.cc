#include "gateway/embedded/log/schema.h"

#include <string>

#include "tests/support/status_matchers.h"

namespace mmsmo::embedded {
namespace {

TEST(Record, IsReadAsItWasWritten) {
  RecordHeader header{.key = MakePostbackKey("mms-mo", "id"),
                      .accept_micros = 1'700'000'000'000'001,
                      .log_bytes = 123};
  header.content.fill(7);
  std::string bytes;
  AppendRecord(header, "prefix", "rest", &bytes);
  const auto record = DecodeRecord(bytes);
  ASSERT_THAT(record, IsOk());
  EXPECT_EQ(record->header.key, header.key);
  EXPECT_EQ(record->header.content, header.content);
  EXPECT_EQ(record->header.accept_micros, header.accept_micros);
  EXPECT_EQ(record->header.log_bytes, header.log_bytes);
  EXPECT_EQ(record->event, "prefixrest");
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
  bytes[0] = 2;
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
