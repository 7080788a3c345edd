#include "gateway/embedded/store/timeline.h"

#include <memory>
#include <string>
#include <vector>

#include "tests/support/fake_clock.h"
#include "tests/support/status_matchers.h"

namespace mmsmo::embedded {
namespace {

constexpr int64_t kDay = 24 * 3600;
const int64_t kJumps[] = {8 * kDay, -8 * kDay, 30 * kDay, -30 * kDay};

// A log's process, which looks at the clock every second.
class TimelineTest : public testing::Test {
 protected:
  TimelineTest() {
    timeline_ = std::make_unique<Timeline>(clock_, Timeline::Begin(clock_), newest_);
  }

  void Run(int64_t seconds) {
    for (int64_t i = 0; i < seconds; ++i) {
      clock_.AdvanceSeconds(1);
      timeline_->Update();
      if (timeline_->settled()) saved_ = EncodeTimeline(timeline_->ToSave());
    }
  }
  AgeStamp Stamp() { return newest_ = timeline_->stamp(); }
  int64_t AgeOf(const AgeStamp& stamp) { return timeline_->AgeOf(stamp) / 1'000'000; }
  int64_t Accept() { return timeline_->accept_micros() / 1'000'000; }
  int64_t Wall() { return clock_.NowMicros() / 1'000'000; }

  void Restart() {
    auto saved = DecodeTimeline(saved_);
    ASSERT_THAT(saved, IsOk());
    timeline_ = std::make_unique<Timeline>(clock_, *std::move(saved), newest_);
    timeline_->Update();
  }
  void Reboot(int64_t off_seconds) {
    clock_.AdvanceSeconds(off_seconds);
    clock_.Reboot("boot " + std::to_string(++boots_));
    Restart();
  }

  FakeClock clock_;
  std::string saved_;
  AgeStamp newest_;
  int boots_ = 0;
  std::unique_ptr<Timeline> timeline_;
};

TEST_F(TimelineTest, AgesAreTheTimeThatPasses) {
  const AgeStamp first = Stamp();
  Run(100);
  const AgeStamp second = Stamp();
  EXPECT_EQ(AgeOf(first), 100);
  EXPECT_EQ(AgeOf(second), 0);
  EXPECT_EQ(Accept(), Wall());
  Run(10);
  EXPECT_EQ(AgeOf(first), 110);
  EXPECT_EQ(AgeOf(second), 10);
}

TEST_F(TimelineTest, AJumpThatIsTakenBackChangesNothing) {
  for (const int64_t jump : kJumps) {
    const AgeStamp before = Stamp();
    Run(5);
    const int64_t accept = Accept();
    clock_.JumpSeconds(jump);
    Run(2);
    const AgeStamp meanwhile = Stamp();
    EXPECT_EQ(Accept(), accept + 2);
    EXPECT_EQ(AgeOf(before), 7);
    clock_.JumpSeconds(-jump);
    Run(1);
    EXPECT_EQ(Accept(), Wall());
    Run(100);
    EXPECT_EQ(AgeOf(before), 108);
    EXPECT_EQ(AgeOf(meanwhile), 101);
    EXPECT_EQ(Accept(), Wall());
  }
}

TEST_F(TimelineTest, AJumpThatStandsIsBelievedAfterAMinuteForTimesAndNeverForAges) {
  for (const int64_t jump : kJumps) {
    const AgeStamp before = Stamp();
    Run(1);
    const int64_t accept = Accept();
    clock_.JumpSeconds(jump);
    Run(60);
    EXPECT_EQ(Accept(), accept + 60);
    Run(10);
    EXPECT_EQ(AgeOf(before), 71);
    EXPECT_EQ(Accept(), jump > 0 ? Wall() : accept + 60) << "it never goes back";
    if (jump > 0) continue;
    clock_.JumpSeconds(-jump);
    Run(1);
    EXPECT_EQ(Accept(), accept + 60) << "nor forward before a minute has passed";
    Run(70);
    EXPECT_EQ(Accept(), Wall());
    EXPECT_EQ(AgeOf(before), 142);
  }
}

TEST_F(TimelineTest, AfterAForwardJumpThatWasBelievedAcceptTimeStandsStill) {
  clock_.JumpSeconds(8 * kDay);
  Run(100);
  const AgeStamp before = Stamp();
  const int64_t accept = Accept();
  EXPECT_EQ(accept, Wall());
  clock_.JumpSeconds(-8 * kDay);
  Run(1000);
  EXPECT_EQ(Accept(), accept + 60) << "which had to pass before it was believed";
  EXPECT_EQ(AgeOf(before), 1000);
}

TEST_F(TimelineTest, ASlewedClockIsFollowed) {
  for (int i = 0; i < 100; ++i) {
    clock_.AdvanceSeconds(9);
    clock_.JumpSeconds(1);
    timeline_->Update();
    EXPECT_EQ(Accept(), Wall());
  }
}

TEST_F(TimelineTest, ARestartInTheSameBootCountsTheTimeBetween) {
  const AgeStamp before = Stamp();
  Run(10);
  for (const int64_t jump : kJumps) {
    const int64_t age = AgeOf(before);
    const int64_t accept = Accept();
    clock_.AdvanceSeconds(500);
    clock_.JumpSeconds(jump);
    Restart();
    EXPECT_TRUE(timeline_->settled());
    EXPECT_EQ(AgeOf(before), age + 500);
    EXPECT_EQ(Accept(), accept + 500);
    clock_.JumpSeconds(-jump);
    Run(100);
    EXPECT_EQ(AgeOf(before), age + 600);
    EXPECT_EQ(Accept(), Wall());
  }
}

TEST_F(TimelineTest, TheTimeThatTheMachineWasOffIsCountedAfterAMinute) {
  Run(10);
  const AgeStamp before = Stamp();
  Run(10);
  Reboot(3600);
  EXPECT_EQ(Accept(), Wall());
  EXPECT_EQ(AgeOf(before), 10);
  const AgeStamp first = Stamp();
  Run(30);
  const AgeStamp second = Stamp();
  EXPECT_EQ(AgeOf(before), 40);
  EXPECT_EQ(AgeOf(first), 30);
  Run(30);
  EXPECT_EQ(AgeOf(before), 3670);
  EXPECT_EQ(AgeOf(first), 60) << "it was stamped after that time";
  EXPECT_EQ(AgeOf(second), 30);
  EXPECT_GE(Stamp().micros, second.micros);
  clock_.AdvanceSeconds(100);
  Restart();
  EXPECT_EQ(AgeOf(before), 3770);
  EXPECT_EQ(AgeOf(first), 160);
}

TEST_F(TimelineTest, ARebootWithAWrongClockThatIsCorrectedCountsTheRightTime) {
  for (const int64_t wrong : kJumps) {
    const AgeStamp before = Stamp();
    Run(1);
    const int64_t accept = Accept();
    clock_.JumpSeconds(wrong);
    Reboot(1000);
    const AgeStamp first = Stamp();
    Run(2);
    EXPECT_LE(Accept(), accept + 1002) << "no event is dated ahead";
    clock_.JumpSeconds(-wrong);
    Run(100);
    EXPECT_EQ(AgeOf(before), 1103);
    EXPECT_EQ(AgeOf(first), 102);
    EXPECT_EQ(Accept(), Wall());
  }
}

TEST_F(TimelineTest, AClockThatIsBehindAfterARebootMakesNothingYounger) {
  Run(1);
  const AgeStamp before = Stamp();
  Run(50);
  clock_.JumpSeconds(-30 * kDay);
  Reboot(1000);
  Run(100);
  EXPECT_EQ(AgeOf(before), 150);
}

TEST_F(TimelineTest, ACrashInTheFirstMinuteAfterARebootLosesNoAge) {
  Run(1);
  const AgeStamp before = Stamp();
  Run(1);
  Reboot(8 * kDay);
  Run(30);
  const AgeStamp first = Stamp();
  Restart();
  const AgeStamp second = Stamp();
  EXPECT_GE(second.micros, first.micros);
  Run(100);
  EXPECT_EQ(AgeOf(first), 100);
  EXPECT_EQ(AgeOf(second), 100);
  EXPECT_EQ(AgeOf(before), 8 * kDay + 131);
}

TEST_F(TimelineTest, TimesOffAddUp) {
  Run(1);
  std::vector<AgeStamp> stamps;
  for (int i = 0; i < 10; ++i) {
    Reboot(1000);
    stamps.push_back(Stamp());
    Run(100);
  }
  for (size_t i = 0; i < stamps.size(); ++i)
    EXPECT_EQ(AgeOf(stamps[i]), static_cast<int64_t>(9 - i) * 1100 + 100);
}

TEST(Timeline, OfALogThatKeptNoTimeIsReckonedFromItsLastEvent) {
  FakeClock clock;
  const int64_t last = clock.NowMicros() - 5'000'000'000;
  Timeline timeline(clock, {.age_micros = last, .wall_micros = last}, {.era = 0, .micros = last});
  const AgeStamp older{.era = 0, .micros = last - 7'000'000};
  EXPECT_EQ(timeline.AgeOf(older), 7'000'000);
  clock.AdvanceSeconds(60);
  timeline.Update();
  EXPECT_EQ(timeline.AgeOf(older), 5'067'000'000);
}

TEST(Timeline, IsReadAsItWasSaved) {
  const Timeline::Saved saved{.age_micros = 1,
                              .wall_micros = -2,
                              .boot_micros = 3,
                              .boot_id = "boot",
                              .off_micros = {0, 5}};
  const std::string bytes = EncodeTimeline(saved);
  const auto decoded = DecodeTimeline(bytes);
  ASSERT_THAT(decoded, IsOk());
  EXPECT_EQ(EncodeTimeline(*decoded), bytes);
  EXPECT_EQ(decoded->wall_micros, -2);
  EXPECT_EQ(decoded->boot_id, "boot");
  EXPECT_EQ(decoded->off_micros, saved.off_micros);
  for (size_t size = 0; size < 48; ++size)
    EXPECT_THAT(DecodeTimeline(bytes.substr(0, size)),
                StatusIs(absl::StatusCode::kDataLoss, testing::_));
}

}  // namespace
}  // namespace mmsmo::embedded
