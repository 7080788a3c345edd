#include "gateway/embedded/log/newest_events.h"

#include <memory>
#include <string>

#include "gateway/broker/delivery_frame.h"
#include "gtest/gtest.h"

namespace mmsmo::embedded {
namespace {

std::shared_ptr<const EventRun> MakeRun(uint64_t first, int events, size_t bytes = 10) {
  auto run = std::make_shared<EventRun>(first);
  for (int i = 0; i < events; ++i) run->Append(std::string(bytes, static_cast<char>('a' + i)));
  return run;
}

TEST(EventRun, GivesEachEventAndItsFrame) {
  const auto run = MakeRun(5, 3);
  EXPECT_EQ(run->first(), 5u);
  EXPECT_EQ(run->last(), 7u);
  EXPECT_EQ(run->Event(6), std::string(10, 'b'));
  std::string framed;
  broker::AppendDelivery(std::string(10, 'b'), &framed);
  EXPECT_EQ(run->Delivery(6), framed);
}

TEST(EventRun, TakesItsMemoryOnce) {
  EventRun run(1);
  run.Reserve(100, 100 * 20'000);
  const size_t reserved = run.bytes();
  EXPECT_LT(reserved, 101u * 20'000);
  for (int i = 0; i < 100; ++i) run.Append(std::string(20'000, 'a'));
  EXPECT_EQ(run.bytes(), reserved);
}

TEST(NewestEvents, FindsTheRunOfAnEvent) {
  NewestEvents newest(1 << 20);
  newest.Add(MakeRun(1, 3));
  newest.Add(MakeRun(4, 2));
  EXPECT_EQ(newest.Find(0), nullptr);
  EXPECT_EQ(newest.Find(3)->first(), 1u);
  EXPECT_EQ(newest.Find(5)->first(), 4u);
  EXPECT_EQ(newest.Find(6), nullptr);
}

TEST(NewestEvents, KeepsToItsBudget) {
  NewestEvents newest(3 * MakeRun(1, 1, 100)->bytes());
  for (uint64_t i = 1; i <= 10; ++i) newest.Add(MakeRun(i, 1, 100));
  EXPECT_EQ(newest.Find(7), nullptr);
  EXPECT_NE(newest.Find(8), nullptr);
  EXPECT_NE(newest.Find(10), nullptr);
}

TEST(NewestEvents, StartsAnewAfterAGap) {
  NewestEvents newest(1 << 20);
  newest.Add(MakeRun(1, 3));
  newest.Add(MakeRun(10, 1));
  EXPECT_EQ(newest.Find(3), nullptr);
  EXPECT_EQ(newest.Find(10)->first(), 10u);
}

}  // namespace
}  // namespace mmsmo::embedded
