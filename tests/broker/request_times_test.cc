#include "gateway/broker/request_times.h"

#include <gtest/gtest.h>

#include <limits>

#include "mmsmo/v1/mms_mo_service.pb.h"
#include "mmsmo/v1/subscription_service.pb.h"
#include "tests/support/status_matchers.h"

namespace mmsmo::broker {
namespace {

using testing::StartsWith;

v1::ListEventsRequest At(int64_t seconds, int32_t nanos) {
  v1::ListEventsRequest request;
  request.mutable_start_position()->mutable_accept_time()->set_seconds(seconds);
  request.mutable_start_position()->mutable_accept_time()->set_nanos(nanos);
  return request;
}

TEST(ValidateTimes, TakesTheYears1To9999) {
  constexpr int64_t kMost = std::numeric_limits<int64_t>::max();
  const struct {
    int64_t seconds;
    int32_t nanos;
    bool valid;
  } kCases[] = {{0, 0, true},
                {-62'135'596'800, 0, true},
                {-62'135'596'801, 0, false},
                {253'402'300'799, 999'999'999, true},
                {253'402'300'800, 0, false},
                {1'795'639'083'667, 0, false},  // milliseconds
                {kMost, 0, false},
                {-kMost, 0, false},
                {0, -1, false},
                {0, 1'000'000'000, false}};
  for (const auto& expected : kCases) {
    const auto status = ValidateTimes("", At(expected.seconds, expected.nanos));
    EXPECT_EQ(status.ok(), expected.valid) << expected.seconds << " " << expected.nanos;
    if (!expected.valid) {
      EXPECT_THAT(status, StatusIs(absl::StatusCode::kInvalidArgument,
                                   StartsWith("start_position.accept_time: ")));
    }
  }
}

TEST(ValidateTimes, NamesTheWholePath) {
  v1::CreateSubscriptionRequest create;
  create.mutable_subscription()->mutable_start_position()->mutable_accept_time()->set_nanos(-1);
  EXPECT_THAT(ValidateTimes("", create),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       StartsWith("subscription.start_position.accept_time: ")));
  EXPECT_THAT(ValidateTimes("subscription", create.subscription()),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       StartsWith("subscription.start_position.accept_time: ")));
  create.Clear();
  create.mutable_subscription()->mutable_retry_policy()->mutable_minimum_backoff()->set_nanos(-1);
  EXPECT_THAT(ValidateTimes("", create),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       StartsWith("subscription.retry_policy.minimum_backoff: ")));
  v1::SubscribeRequest subscribe;
  subscribe.mutable_heartbeat_interval()->set_nanos(1'000'000'000);
  EXPECT_THAT(ValidateTimes("", subscribe),
              StatusIs(absl::StatusCode::kInvalidArgument, StartsWith("heartbeat_interval: ")));
  v1::ModifyAckDeadlineRequest modify;
  modify.mutable_extend_by()->set_seconds(315'576'000'001);
  EXPECT_THAT(ValidateTimes("", modify),
              StatusIs(absl::StatusCode::kInvalidArgument, StartsWith("extend_by: ")));
}

}  // namespace
}  // namespace mmsmo::broker
