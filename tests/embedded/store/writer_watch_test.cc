#include "gateway/embedded/store/writer_watch.h"

#include "gtest/gtest.h"
#include "tests/support/fake_clock.h"
#include "tests/support/status_matchers.h"

namespace mmsmo::embedded {
namespace {

TEST(WriterWatch, SaysThatWorkTakesTooLongUntilItEnds) {
  FakeClock clock;
  WriterWatch watch(clock);
  EXPECT_THAT(watch.Check(), IsOk());
  {
    const auto working = watch.Begin();
    clock.AdvanceSeconds(4);
    EXPECT_THAT(watch.Check(), IsOk());
    clock.JumpSeconds(-1000);
    clock.AdvanceSeconds(1);
    EXPECT_THAT(watch.Check(), StatusIs(absl::StatusCode::kUnavailable, testing::HasSubstr("5 s")));
  }
  EXPECT_THAT(watch.Check(), IsOk());
}

}  // namespace
}  // namespace mmsmo::embedded
