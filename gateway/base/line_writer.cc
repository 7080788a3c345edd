#include "gateway/base/line_writer.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <thread>
#include <utility>

namespace mmsmo {

LineWriter* LineWriter::Start(int fd, OnDropped on_dropped) {
  auto* const writer = new LineWriter(fd, std::move(on_dropped));
  // Signals are for others; SIGPIPE would end the process.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  std::thread([writer] { writer->Run(); }).detach();
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return writer;
}

void LineWriter::Add(std::string_view line) {
  MutexLock lock(&mu_);
  if (waiting_.size() + line.size() > kMaxWaitingBytes) {
    ++dropped_;
    return;
  }
  waiting_.append(line);
  changed_.SignalAll();
}

void LineWriter::Flush(std::chrono::milliseconds at_most) {
  const auto deadline = std::chrono::steady_clock::now() + at_most;
  MutexLock lock(&mu_);
  while ((writing_ || !waiting_.empty()) && std::chrono::steady_clock::now() < deadline)
    changed_.WaitUntil(&mu_, deadline);
}

uint64_t LineWriter::dropped() {
  MutexLock lock(&mu_);
  return dropped_;
}

void LineWriter::Run() {
  while (true) {
    std::string lines;
    {
      MutexLock lock(&mu_);
      while (waiting_.empty()) changed_.Wait(&mu_);
      lines.swap(waiting_);
      writing_ = true;
    }
    const bool written = Write(lines);
    uint64_t newly_dropped = 0;
    {
      MutexLock lock(&mu_);
      if (written) {
        newly_dropped = dropped_ - std::exchange(dropped_told_, dropped_);
      } else {
        dropped_ += static_cast<uint64_t>(std::count(lines.begin(), lines.end(), '\n'));
      }
    }
    if (newly_dropped > 0 && on_dropped_) on_dropped_(newly_dropped);
    MutexLock lock(&mu_);
    writing_ = false;
    changed_.SignalAll();
  }
}

bool LineWriter::Write(std::string_view lines) const {
  while (!lines.empty()) {
    const ssize_t count = write(fd_, lines.data(), lines.size());
    if (count > 0) {
      lines.remove_prefix(static_cast<size_t>(count));
    } else if (errno == EAGAIN) {
      // The descriptor is shared with whoever started the process, who made it so.
      pollfd room{.fd = fd_, .events = POLLOUT, .revents = 0};
      poll(&room, 1, -1);
    } else if (errno != EINTR) {
      return false;
    }
  }
  return true;
}

}  // namespace mmsmo
