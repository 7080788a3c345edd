#include "gateway/rpc/status.h"

#include <gtest/gtest.h>

#include "gateway/base/status.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "tests/support/status_matchers.h"

namespace mmsmo::rpc {
namespace {

TEST(ToGrpc, KeepsCodeAndMessage) {
  EXPECT_TRUE(ToGrpc(absl::OkStatus()).ok());
  const grpc::Status status = ToGrpc(InvalidArgument("page_size: -1 is negative"));
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(status.error_message(), "page_size: -1 is negative");
  EXPECT_EQ(status.error_details(), "");
}

TEST(ToGrpc, CarriesTheReasonAsErrorInfo) {
  const grpc::Status status = ToGrpc(WithMetadata(
      WithReason(OutOfRange("cursor: too old"), "CURSOR_EXPIRED"), "earliest_cursor", "c42"));
  EXPECT_EQ(status.error_code(), grpc::StatusCode::OUT_OF_RANGE);
  google::rpc::Status details;
  ASSERT_TRUE(details.ParseFromString(status.error_details()));
  EXPECT_EQ(details.code(), grpc::StatusCode::OUT_OF_RANGE);
  google::rpc::ErrorInfo info;
  ASSERT_EQ(details.details_size(), 1);
  ASSERT_TRUE(details.details(0).UnpackTo(&info));
  EXPECT_EQ(info.reason(), "CURSOR_EXPIRED");
  EXPECT_EQ(info.domain(), "mmsmo.v1");
  EXPECT_EQ(info.metadata().at("earliest_cursor"), "c42");
}

TEST(InField, NamesWhatAnEngineWasGiven) {
  const absl::Status expired = InField(
      "cursor",
      WithMetadata(WithReason(OutOfRange("too old"), "CURSOR_EXPIRED"), "earliest_cursor", "c42"));
  EXPECT_THAT(expired, StatusIs(absl::StatusCode::kOutOfRange, "cursor: too old"));
  EXPECT_THAT(expired, HasReason("CURSOR_EXPIRED"));
  EXPECT_EQ(MetadataOf(expired, "earliest_cursor"), "c42");
  EXPECT_THAT(InField("target", InvalidArgument("no cursor")),
              StatusIs(absl::StatusCode::kInvalidArgument, "target: no cursor"));
  EXPECT_THAT(InField("target", Unavailable("the disk is full")),
              StatusIs(absl::StatusCode::kUnavailable, "the disk is full"));
  EXPECT_THAT(InField("target", absl::OkStatus()), IsOk());
}

TEST(ToGrpc, WritesReasonsInUpperCase) {
  const grpc::Status status = ToGrpc(
      WithReason(MakeStatus(absl::StatusCode::kResourceExhausted, "full"), "quarantine_full"));
  google::rpc::Status details;
  ASSERT_TRUE(details.ParseFromString(status.error_details()));
  google::rpc::ErrorInfo info;
  ASSERT_EQ(details.details_size(), 1);
  ASSERT_TRUE(details.details(0).UnpackTo(&info));
  EXPECT_EQ(info.reason(), "QUARANTINE_FULL");
}

TEST(ToGrpc, SaysWhenToTryAgainWhatIsUnavailable) {
  for (const absl::Status& unavailable :
       {Unavailable("later"), WithReason(Unavailable("later"), "not_durable")}) {
    google::rpc::Status details;
    ASSERT_TRUE(details.ParseFromString(ToGrpc(unavailable).error_details()));
    google::rpc::RetryInfo retry;
    ASSERT_TRUE(details.details().rbegin()->UnpackTo(&retry));
    EXPECT_EQ(retry.retry_delay().seconds(), 1);
  }
}

TEST(ToGrpc, TellsNobodyWhatIsInternal) {
  const grpc::Status status = ToGrpc(Internal("the password is xyzzy"));
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INTERNAL);
  EXPECT_EQ(status.error_message().find("xyzzy"), std::string::npos);
}

}  // namespace
}  // namespace mmsmo::rpc
