#include "mmsmo/stop_on_signal.h"

#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <system_error>

namespace mmsmo {
namespace {

constexpr int kExitOfSignal = 128;

sigset_t Signals() {
  sigset_t signals;
  sigemptyset(&signals);
  for (const int signal : {SIGINT, SIGTERM}) sigaddset(&signals, signal);
  return signals;
}

}  // namespace

void StopOnSignal::Block() {
  const sigset_t signals = Signals();
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
}

StopOnSignal::StopOnSignal(Subscriber* subscriber, StopMode first) {
  Block();
  const sigset_t signals = Signals();
  signals_ = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
  end_ = eventfd(0, EFD_CLOEXEC);
  if (signals_ < 0 || end_ < 0) {
    const std::system_error error(errno, std::system_category(), "waiting for signals");
    if (signals_ >= 0) close(signals_);
    throw error;
  }
  thread_ = std::thread([this, subscriber, first] { Watch(subscriber, first); });
}

StopOnSignal::~StopOnSignal() {
  eventfd_write(end_, 1);
  thread_.join();
  close(signals_);
  close(end_);
}

void StopOnSignal::Watch(Subscriber* subscriber, StopMode first) const {
  pollfd files[] = {{.fd = signals_, .events = POLLIN, .revents = 0},
                    {.fd = end_, .events = POLLIN, .revents = 0}};
  std::optional<StopMode> next = first;
  while (poll(files, 2, -1) < 0 || files[1].revents == 0) {
    signalfd_siginfo signal = {};
    if (files[0].revents == 0 || read(signals_, &signal, sizeof signal) != sizeof signal) continue;
    if (!next) std::quick_exit(kExitOfSignal + static_cast<int>(signal.ssi_signo));
    subscriber->Stop(*next);
    next = *next == StopMode::kFinish ? std::optional(StopMode::kRelease) : std::nullopt;
  }
}

}  // namespace mmsmo
