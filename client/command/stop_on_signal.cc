#include "client/command/stop_on_signal.h"

#include <pthread.h>

#include <cstdlib>

namespace mmsmo::command {
namespace {

constexpr int kQuit = SIGUSR1;  // ends the thread
constexpr int kExitOfSignal = 128;

}  // namespace

sigset_t BlockSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  for (int signal : {SIGINT, SIGTERM, kQuit}) sigaddset(&signals, signal);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  return signals;
}

StopOnSignal::StopOnSignal(sigset_t signals, Subscriber* subscriber)
    : thread_([signals, subscriber] {
        int signal = 0;
        sigwait(&signals, &signal);
        if (signal == kQuit) return;
        subscriber->Stop();
        sigwait(&signals, &signal);
        if (signal != kQuit) std::_Exit(kExitOfSignal + signal);
      }) {}

StopOnSignal::~StopOnSignal() {
  pthread_kill(thread_.native_handle(), kQuit);
  thread_.join();
}

}  // namespace mmsmo::command
