// Ctrl-C for commands that run until they are told to stop.

#pragma once

#include <csignal>
#include <thread>

#include "mmsmo/subscriber.h"

namespace mmsmo::command {

// What StopOnSignal waits for, blocked in this thread and in those that it creates from now on.
sigset_t BlockSignals();

// While it lives, SIGINT and SIGTERM stop `subscriber`, and a second one ends the process.
class StopOnSignal {
 public:
  StopOnSignal(sigset_t signals, Subscriber* subscriber);
  ~StopOnSignal();
  StopOnSignal(const StopOnSignal&) = delete;
  StopOnSignal& operator=(const StopOnSignal&) = delete;

 private:
  std::thread thread_;
};

}  // namespace mmsmo::command
