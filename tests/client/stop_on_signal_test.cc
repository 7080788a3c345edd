#include "mmsmo/stop_on_signal.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <thread>

namespace mmsmo {
namespace {

constexpr int kEndedInOrder = 7;

// In a process of its own, whose threads all block the signals.
class StopOnSignalTest : public testing::Test {
 protected:
  StopOnSignalTest() { GTEST_FLAG_SET(death_test_style, "threadsafe"); }

  [[noreturn]] static void RunUntilToldToEnd(int signal, StopMode first) {
    StopOnSignal::Block();
    Subscriber subscriber({.target = "127.0.0.1:1"});
    const StopOnSignal stop_on_signal(&subscriber, first);
    kill(getpid(), signal);
    const bool ok = subscriber.Run("billing", [](const v1::Delivery&) { return Ack(); }).ok();
    std::_Exit(ok ? kEndedInOrder : EXIT_FAILURE);
  }
  [[noreturn]] static void BeToldAgainAndAgain(StopMode first) {
    StopOnSignal::Block();
    Subscriber subscriber({.target = "127.0.0.1:1"});
    const StopOnSignal stop_on_signal(&subscriber, first);
    while (true) {
      kill(getpid(), SIGTERM);
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  }
};

using StopOnSignalDeathTest = StopOnSignalTest;

TEST_F(StopOnSignalDeathTest, EndsRunInGoodOrder) {
  for (const int signal : {SIGINT, SIGTERM}) {
    for (const StopMode first : {StopMode::kFinish, StopMode::kRelease}) {
      EXPECT_EXIT(RunUntilToldToEnd(signal, first), testing::ExitedWithCode(kEndedInOrder), "");
    }
  }
}

TEST_F(StopOnSignalDeathTest, EndsTheProcessWhenItIsToldOnceMoreThanThereAreWays) {
  EXPECT_EXIT(BeToldAgainAndAgain(StopMode::kFinish), testing::ExitedWithCode(128 + SIGTERM), "");
  EXPECT_EXIT(BeToldAgainAndAgain(StopMode::kRelease), testing::ExitedWithCode(128 + SIGTERM), "");
}

}  // namespace
}  // namespace mmsmo
