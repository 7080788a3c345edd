#include "client/command/progress_bar.h"

#include <unistd.h>

#include <algorithm>
#include <string>

#include "client/command/output.h"
#include "fmt/format.h"

namespace mmsmo::command {
namespace {

constexpr int64_t kWidth = 40;

}  // namespace

ProgressBar::ProgressBar(int64_t total)
    : total_(std::max<int64_t>(total, 1)), terminal_(isatty(STDERR_FILENO) != 0) {}

ProgressBar::~ProgressBar() {
  if (terminal_) Say("\r\033[K");
}

void ProgressBar::Show(int64_t done) {
  if (!terminal_) return;
  const auto filled = static_cast<size_t>(kWidth * std::min(done, total_) / total_);
  Say(fmt::format("\r[{:<{}}] {} of {}\033[K", std::string(filled, '#'), kWidth, done, total_));
}

}  // namespace mmsmo::command
