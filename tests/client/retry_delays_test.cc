#include "client/retry_delays.h"

#include <gtest/gtest.h>

#include <limits>

namespace mmsmo {
namespace {

using std::chrono::milliseconds;

TEST(RetryDelay, DoublesFromTheMinimumToTheMaximum) {
  v1::RetryPolicy policy;
  policy.mutable_minimum_backoff()->set_seconds(2);
  policy.mutable_maximum_backoff()->set_seconds(10);
  const struct {
    int attempt;
    int64_t seconds;
  } kCases[] = {{0, 2}, {1, 2}, {2, 4}, {3, 8}, {4, 10}, {std::numeric_limits<int>::max(), 10}};
  for (const auto& expected : kCases) {
    EXPECT_EQ(RetryDelay(policy, expected.attempt), milliseconds(expected.seconds * 1000))
        << expected.attempt;
  }
}

TEST(RetryDelay, IsNothingWhereThePolicySaysSo) {
  v1::RetryPolicy policy;
  policy.mutable_minimum_backoff();
  EXPECT_EQ(RetryDelay(policy, std::numeric_limits<int>::max()), milliseconds(0));
}

TEST(RetryDelay, HasDefaults) {
  EXPECT_EQ(RetryDelay({}, 1), milliseconds(1000));
  EXPECT_EQ(RetryDelay({}, 100), milliseconds(60'000));
}

}  // namespace
}  // namespace mmsmo
