// Lines on their way to a descriptor whose reader may stop reading, as a log driver does that
// hangs: who writes never waits, and what does not fit is dropped and counted.

#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "mutex.h"

namespace mmsmo {

// Thread-safe. Lives as long as the process, since its thread may be waiting for the descriptor for
// ever; nobody waits for that thread.
class LineWriter {
 public:
  // Beside what is being written.
  static constexpr size_t kMaxWaitingBytes = 1 << 20;

  // Called from the writer's thread once lines are written again after some were dropped, with how
  // many; may add lines.
  using OnDropped = std::function<void(uint64_t lines)>;

  // `fd` stays the caller's, and must stay open.
  static LineWriter* Start(int fd, OnDropped on_dropped);
  LineWriter(const LineWriter&) = delete;
  LineWriter& operator=(const LineWriter&) = delete;

  // A whole line, with its end.
  void Add(std::string_view line);
  // Returns when everything that was added is written, at the latest after `at_most`.
  void Flush(std::chrono::milliseconds at_most);
  // Dropped since the start, for want of room or because they could not be written.
  uint64_t dropped();

 private:
  LineWriter(int fd, OnDropped on_dropped) : fd_(fd), on_dropped_(std::move(on_dropped)) {}
  void Run();
  // Whether `lines` were written whole.
  bool Write(std::string_view lines) const;

  const int fd_;
  const OnDropped on_dropped_;

  Mutex mu_;
  CondVar changed_;
  std::string waiting_ ABSL_GUARDED_BY(mu_);
  bool writing_ ABSL_GUARDED_BY(mu_) = false;
  uint64_t dropped_ ABSL_GUARDED_BY(mu_) = 0;
  uint64_t dropped_told_ ABSL_GUARDED_BY(mu_) = 0;  // of them, those that on_dropped_ was told of
};

}  // namespace mmsmo
