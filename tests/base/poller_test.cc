#include "gateway/base/poller.h"

#include <gtest/gtest.h>

#include <chrono>
#include <future>

namespace mmsmo {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;

TEST(Poller, LooksEverySoOften) {
  std::promise<void> twice;
  int looks = 0;
  const Poller poller(milliseconds(1), [&] {
    if (++looks == 2) twice.set_value();
  });
  twice.get_future().wait();
}

TEST(Poller, LooksAtOnceWhenAsked) {
  std::promise<void> looked;
  Poller poller(hours(1), [&] { looked.set_value(); });
  poller.Look();
  looked.get_future().wait();
}

TEST(Poller, EndsWithoutALook) {
  int looks = 0;
  {
    const Poller poller(hours(1), [&] { ++looks; });
  }
  EXPECT_EQ(looks, 0);
}

}  // namespace
}  // namespace mmsmo
