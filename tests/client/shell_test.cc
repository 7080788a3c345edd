#include "client/command/shell.h"

#include <gtest/gtest.h>

#include <csignal>
#include <string>

#include "tests/support/file_size_limit.h"

namespace mmsmo::command {
namespace {

TEST(RunShell, ReturnsTheExitCode) {
  EXPECT_EQ(RunShell("exit 0", "").value(), 0);
  EXPECT_EQ(RunShell("exit 7", "").value(), 7);
  EXPECT_EQ(RunShell("no-such-command-anywhere 2>/dev/null", "").value(), 127);
  EXPECT_EQ(RunShell("kill -TERM $$", "").value(), 128 + SIGTERM);
}

TEST(RunShell, LetsAClosedPipeEndACommandThoughItEndsNotThisProcess) {
  std::signal(SIGPIPE, SIG_IGN);
  EXPECT_EQ(RunShell("kill -PIPE $$", "").value(), 128 + SIGPIPE);
  std::signal(SIGPIPE, SIG_DFL);
}

TEST(RunShell, GivesTheInput) {
  EXPECT_EQ(RunShell("test \"$(cat)\" = '{\"cursor\":\"AQ\"}'", "{\"cursor\":\"AQ\"}\n").value(),
            0);
  EXPECT_EQ(RunShell("test \"$(cat)\" = other", "input").value(), 1);
}

TEST(RunShell, TakesAnInputThatNobodyReads) {
  EXPECT_EQ(RunShell("exit 3", std::string(1 << 20, 'x')).value(), 3);
}

TEST(RunShell, SaysWhyThereIsNoInput) {
  const NoFileMayGrow full;
  const auto code = RunShell("exit 0", "input");
  EXPECT_EQ(code.status().code(), absl::StatusCode::kInternal);
  EXPECT_EQ(code.status().message().substr(0, 7), "write: ");
}

TEST(RunShell, LetsSignalsThroughThatThisThreadBlocks) {
  sigset_t term, before;
  sigemptyset(&term);
  sigaddset(&term, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &term, &before);
  const auto code = RunShell("kill -TERM $$; exit 0", "");
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  EXPECT_EQ(code.value(), 128 + SIGTERM);
}

TEST(RunShell, KeepsTheTerminalsSignalsFromTheCommand) {
  // Of its own group, whose number is that of the shell.
  EXPECT_EQ(RunShell("test \"$(cut -d' ' -f5 /proc/$$/stat)\" = $$", "").value(), 0);
}

}  // namespace
}  // namespace mmsmo::command
