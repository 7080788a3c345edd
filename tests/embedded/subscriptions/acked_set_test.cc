#include "gateway/embedded/subscriptions/acked_set.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>
#include <set>

namespace mmsmo::embedded {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr uint64_t kBlock = AckedSet::kBlockEvents;

TEST(AckedSet, RaisesItsFloorOverWhatFollows) {
  AckedSet acked(10);
  EXPECT_TRUE(acked.Add(12));
  EXPECT_TRUE(acked.Add(13));
  EXPECT_EQ(acked.floor(), 10u);
  EXPECT_EQ(acked.count_above(), 2u);
  EXPECT_TRUE(acked.Add(11));
  EXPECT_EQ(acked.floor(), 13u);
  EXPECT_EQ(acked.count_above(), 0u);
  EXPECT_FALSE(acked.Add(12));
}

TEST(AckedSet, CountsWhatItAddsUpToAnEvent) {
  AckedSet acked(0);
  for (const uint64_t sequence : {2u, 63u, 64u, 65u, 128u, 200u}) acked.Add(sequence);
  EXPECT_EQ(acked.AddThrough(128), 128u - 5);
  EXPECT_EQ(acked.floor(), 128u);
  EXPECT_EQ(acked.count_above(), 1u);
  EXPECT_EQ(acked.AddThrough(100), 0u);
  EXPECT_EQ(acked.AddThrough(199), 71u);
  EXPECT_EQ(acked.floor(), 200u) << "200 was there";
}

TEST(AckedSet, SaysWhichBlocksHaveChanged) {
  AckedSet acked(0);
  acked.Add(1);
  EXPECT_THAT(acked.TakeChanges().written, IsEmpty()) << "the floor says it";
  acked.Add(3);
  acked.Add(2 * kBlock + 1);
  EXPECT_THAT(acked.TakeChanges().written, ElementsAre(0, 2));
  EXPECT_THAT(acked.TakeChanges().written, IsEmpty());
  acked.MarkChanged();
  EXPECT_THAT(acked.TakeChanges().written, ElementsAre(0, 2));
  acked.AddThrough(kBlock);
  const AckedSet::Changes changes = acked.TakeChanges();
  EXPECT_THAT(changes.written, IsEmpty());
  EXPECT_THAT(changes.removed, ElementsAre(0));
}

TEST(AckedSet, IsTheSameAfterItWasWritten) {
  AckedSet acked(5);
  for (const uint64_t sequence : {uint64_t{7}, uint64_t{70}, kBlock + 3, 9 * kBlock}) {
    acked.Add(sequence);
  }
  AckedSet restored(acked.floor());
  for (const uint64_t block : acked.TakeChanges().written) {
    restored.Restore(block, acked.words(block));
  }
  EXPECT_EQ(restored.count_above(), 4u);
  for (uint64_t sequence = 1; sequence < 10 * kBlock; ++sequence) {
    ASSERT_EQ(restored.Contains(sequence), acked.Contains(sequence)) << sequence;
  }
}

TEST(AckedSet, ForgetsBlocksThatAFailedWriteLeftBehind) {
  AckedSet acked(kBlock + 5);
  acked.Restore(0, {});
  EXPECT_THAT(acked.TakeChanges().removed, ElementsAre(0));
  EXPECT_EQ(acked.count_above(), 0u);
}

TEST(AckedSet, KeepsAMillionEventsHalfOfThemInKilobytes) {
  AckedSet acked(0);
  for (uint64_t sequence = 2; sequence <= 1'000'000; sequence += 2) acked.Add(sequence);
  EXPECT_EQ(acked.count_above(), 500'000u);
  EXPECT_LE(acked.TakeChanges().written.size() * sizeof(AckedSet::Words), size_t{1} << 18);
}

TEST(AckedSet, AgreesWithASetOfNumbers) {
  const auto seed = std::random_device{}();
  SCOPED_TRACE(seed);
  std::mt19937 random(seed);
  AckedSet acked(0);
  std::set<uint64_t> model;
  uint64_t floor = 0;
  for (int i = 0; i < 20'000; ++i) {
    const uint64_t sequence = 1 + random() % (3 * kBlock);
    if (random() % 500 == 0) {
      uint64_t added = 0;
      for (uint64_t s = 1; s <= sequence; ++s) added += model.insert(s).second ? 1 : 0;
      ASSERT_EQ(acked.AddThrough(sequence), added);
    } else {
      ASSERT_EQ(acked.Add(sequence), model.insert(sequence).second);
    }
    while (model.contains(floor + 1)) ++floor;
    ASSERT_EQ(acked.floor(), floor);
    ASSERT_EQ(acked.count_above(), model.size() - floor);
    const uint64_t probe = 1 + random() % (3 * kBlock);
    ASSERT_EQ(acked.Contains(probe), model.contains(probe));
  }
}

TEST(AckedSet, IsCutToTheHead) {
  AckedSet acked(10);
  for (const uint64_t event : {12, 20, 5000, 9000}) acked.Add(event);
  acked.TakeChanges();
  EXPECT_EQ(acked.last(), 9000u);
  acked.CutTo(5000);
  EXPECT_EQ(acked.last(), 5000u);
  EXPECT_EQ(acked.count_above(), 3u);
  EXPECT_TRUE(acked.Contains(5000));
  EXPECT_FALSE(acked.Contains(9000));
  acked.CutTo(15);
  EXPECT_EQ(acked.count_above(), 1u);
  EXPECT_TRUE(acked.Contains(12));
  EXPECT_FALSE(acked.Contains(20));
  acked.CutTo(3);
  EXPECT_EQ(acked.floor(), 3u);
  EXPECT_EQ(acked.count_above(), 0u);
  EXPECT_EQ(acked.last(), 3u);
}

}  // namespace
}  // namespace mmsmo::embedded
