#include "gateway/base/status.h"

#include "gtest/gtest.h"

namespace mmsmo {
namespace {

TEST(Status, CarriesItsReasonAndMetadata) {
  const absl::Status status = WithMetadata(
      WithReason(OutOfRange("cursor: too old"), "CURSOR_EXPIRED"), "earliest_cursor", "abc");
  EXPECT_EQ(status.code(), absl::StatusCode::kOutOfRange);
  EXPECT_EQ(MessageOf(status), "cursor: too old");
  EXPECT_EQ(ReasonOf(status), "CURSOR_EXPIRED");
  EXPECT_EQ(MetadataOf(status, "earliest_cursor"), "abc");
}

TEST(Status, HasNoReasonUnlessGivenOne) {
  EXPECT_EQ(ReasonOf(NotFound("no subscription {}", "a")), "");
  EXPECT_EQ(MetadataOf(absl::OkStatus(), "earliest_cursor"), "");
}

}  // namespace
}  // namespace mmsmo
