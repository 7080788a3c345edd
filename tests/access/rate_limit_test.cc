#include "gateway/access/rate_limit.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

namespace mmsmo::access {
namespace {

constexpr int64_t kSecond = 1'000'000;
constexpr int64_t kNow = 1'764'000'000 * kSecond;

int TakeMany(RateLimit& limit, int tries, int64_t now) {
  int taken = 0;
  for (int i = 0; i < tries; ++i) taken += limit.TakeMicros(now) == 0 ? 1 : 0;
  return taken;
}

TEST(RateLimit, AllowsWhatASecondHasAtOnce) {
  RateLimit limit(100);
  EXPECT_EQ(TakeMany(limit, 1000, kNow), 100);
}

TEST(RateLimit, SaysWhenTheNextMay) {
  RateLimit limit(4);
  EXPECT_EQ(TakeMany(limit, 5, kNow), 4);
  EXPECT_EQ(limit.TakeMicros(kNow), kSecond / 4);
  EXPECT_EQ(limit.TakeMicros(kNow + 100'000), 150'000);
  EXPECT_EQ(limit.TakeMicros(kNow + kSecond / 4 - 1), 1);
  EXPECT_EQ(limit.TakeMicros(kNow + kSecond / 4), 0);
  EXPECT_EQ(limit.TakeMicros(kNow + kSecond / 4), kSecond / 4);
}

TEST(RateLimit, IsFullAgainAfterASecond) {
  RateLimit limit(50);
  EXPECT_EQ(TakeMany(limit, 100, kNow), 50);
  EXPECT_EQ(TakeMany(limit, 100, kNow + kSecond / 2), 25);
  EXPECT_EQ(TakeMany(limit, 100, kNow + 10 * kSecond), 50);
}

TEST(RateLimit, KeepsToItsRateInTheLongRun) {
  RateLimit limit(30'000);
  int taken = 0;
  for (int64_t now = 0; now < 10 * kSecond; now += 10) taken += TakeMany(limit, 1, kNow + now);
  EXPECT_NEAR(taken, 30'000 * 11, 20);
}

TEST(RateLimit, OfLessThanOneASecondHasRoomForOne) {
  RateLimit limit(0.5);
  EXPECT_EQ(TakeMany(limit, 3, kNow), 1);
  EXPECT_EQ(limit.TakeMicros(kNow + kSecond), kSecond);
  EXPECT_EQ(limit.TakeMicros(kNow + 2 * kSecond), 0);
  RateLimit next_to_none(1e-300);
  EXPECT_EQ(TakeMany(next_to_none, 3, kNow), 1);
}

TEST(RateLimit, OfNothingLimitsNothing) {
  for (const double none : {0.0, -1.0}) {
    RateLimit limit(none);
    EXPECT_EQ(TakeMany(limit, 10'000, kNow), 10'000);
  }
}

TEST(RateLimit, CountsWhatSeveralThreadsTake) {
  RateLimit limit(1000);
  std::atomic<int> taken{0};
  std::vector<std::thread> threads;
  threads.reserve(4);
  for (int i = 0; i < 4; ++i) threads.emplace_back([&] { taken += TakeMany(limit, 2000, kNow); });
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(taken, 1000);
}

}  // namespace
}  // namespace mmsmo::access
