// How far something long has come, for whoever watches a terminal.

#pragma once

#include <cstdint>

namespace mmsmo::command {

// Draws on stderr where that is a terminal, else nothing. Cleared when it is destroyed.
class ProgressBar {
 public:
  explicit ProgressBar(int64_t total);
  ~ProgressBar();
  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;

  void Show(int64_t done);

 private:
  const int64_t total_;
  const bool terminal_;
};

}  // namespace mmsmo::command
