#include "gateway/rpc/status.h"

#include <gtest/gtest.h>

#include "gateway/base/status.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"

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

}  // namespace
}  // namespace mmsmo::rpc
