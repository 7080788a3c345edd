#include "gateway/rpc/frame_sizer.h"

#include <gtest/gtest.h>

#include <memory>
#include <vector>

#include "gateway/rpc/frame.h"

namespace mmsmo::rpc {
namespace {

using std::chrono::milliseconds;

constexpr size_t kLargest = kMaxFrameBytes - kFrameOverhead;

class FrameSizerTest : public testing::Test {
 protected:
  // A frame that is as full as it may be and takes so long to write; returns its size.
  size_t Write(FrameSizer& sizer, milliseconds takes) {
    const size_t bytes = sizer.Reserve();
    sizer.WriteBegins(bytes, now_);
    now_ += takes;
    sizer.WriteEnds(now_);
    return bytes;
  }

  FrameSizer::TimePoint now_;
  ByteBudget budget_{4 << 20};
};

TEST_F(FrameSizerTest, GrowsWhileWritesAreQuick) {
  FrameSizer sizer(&budget_);
  for (size_t size = FrameSizer::kSmallest; size < kLargest; size *= 2)
    EXPECT_EQ(Write(sizer, milliseconds(1)), size);
  EXPECT_EQ(Write(sizer, milliseconds(1)), kLargest);
  EXPECT_EQ(Write(sizer, milliseconds(1)), kLargest);
  EXPECT_EQ(budget_.held(), 0);
}

TEST_F(FrameSizerTest, StaysSmallWhereThereIsLittleToSend) {
  FrameSizer sizer(&budget_);
  for (int i = 0; i < 10; ++i) {
    EXPECT_EQ(sizer.Reserve(), FrameSizer::kSmallest);
    sizer.WriteBegins(1000, now_);
    EXPECT_EQ(budget_.held(), 1000);
    sizer.WriteEnds(now_);
  }
}

TEST_F(FrameSizerTest, ShrinksWhereWritesAreSlow) {
  FrameSizer sizer(&budget_);
  for (int i = 0; i < 3; ++i) Write(sizer, milliseconds(1));
  EXPECT_EQ(Write(sizer, milliseconds(100)), 8 * FrameSizer::kSmallest);
  EXPECT_EQ(Write(sizer, milliseconds(300)), 8 * FrameSizer::kSmallest);
  EXPECT_EQ(Write(sizer, milliseconds(300)), 4 * FrameSizer::kSmallest);
  for (int i = 0; i < 9; ++i) Write(sizer, milliseconds(300));
  EXPECT_EQ(sizer.Reserve(), FrameSizer::kSmallest);
}

TEST_F(FrameSizerTest, GivesBackWhatIsNotTaken) {
  FrameSizer sizer(&budget_);
  sizer.Reserve();
  EXPECT_EQ(budget_.held(), static_cast<int64_t>(FrameSizer::kSmallest));
  sizer.WriteBegins(0, now_);
  EXPECT_EQ(budget_.held(), 0);
  EXPECT_EQ(Write(sizer, milliseconds(1)), FrameSizer::kSmallest);
  for (int i = 0; i < 3; ++i) sizer.WriteEnds(now_ += milliseconds(300));  // of no write
  EXPECT_EQ(sizer.Reserve(), 2 * FrameSizer::kSmallest);
}

TEST_F(FrameSizerTest, StalledStreamsLeaveOthersOneEventAtATime) {
  std::vector<std::unique_ptr<FrameSizer>> stalled;
  for (int i = 0; i < 200; ++i) {
    stalled.push_back(std::make_unique<FrameSizer>(&budget_));
    stalled.back()->WriteBegins(stalled.back()->Reserve(), now_);
  }
  EXPECT_LE(budget_.held(), (4 << 20) + 200);
  FrameSizer sizer(&budget_);
  EXPECT_EQ(sizer.Reserve(), 1u);
  sizer.WriteBegins(20'000, now_);  // the one event, which is more than the budget had
  EXPECT_GE(budget_.held(), 4 << 20);
  sizer.WriteEnds(now_);
  stalled.clear();
  EXPECT_EQ(budget_.held(), 0);
  EXPECT_EQ(sizer.Reserve(), 2 * FrameSizer::kSmallest);
}

TEST_F(FrameSizerTest, TakesASmallerFrameRatherThanNone) {
  FrameSizer other(&budget_), sizer(&budget_);
  for (int i = 0; i < 3; ++i) Write(sizer, milliseconds(1));
  other.WriteBegins((4 << 20) - 3 * FrameSizer::kSmallest, now_);
  EXPECT_EQ(sizer.Reserve(), 2 * FrameSizer::kSmallest);
}

}  // namespace
}  // namespace mmsmo::rpc
