// Ends a consumer in good order when its process is told to end.

#pragma once

#include <thread>

#include "mmsmo/subscriber.h"

namespace mmsmo {

// While it lives, SIGINT and SIGTERM end the subscriber's Run: the first as `first` says, kFinish
// being followed by kRelease, and the one after kRelease ends the process by std::quick_exit with
// 128 + its number. One of them in a process: a signal reaches one only.
//
//   int main() {
//     mmsmo::StopOnSignal::Block();  // before the first thread
//     mmsmo::Subscriber subscriber({.target = "127.0.0.1:9090"});
//     const mmsmo::StopOnSignal stop_on_signal(&subscriber);
//     const absl::Status status = subscriber.Run("billing", Handle);
class StopOnSignal {
 public:
  // Blocks the two in this thread and in those that it creates from now on. A thread that does not
  // block them, such as one of gRPC's from before, would end the process by them.
  static void Block();

  // `subscriber` must outlive it. Blocks, too, and the signals stay blocked after its end. Throws
  // std::system_error where there are no descriptors left.
  explicit StopOnSignal(Subscriber* subscriber, StopMode first = StopMode::kFinish);
  ~StopOnSignal();
  StopOnSignal(const StopOnSignal&) = delete;
  StopOnSignal& operator=(const StopOnSignal&) = delete;

 private:
  void Watch(Subscriber* subscriber, StopMode first) const;

  int signals_ = -1;  // a signalfd
  int end_ = -1;      // an eventfd, which ends the thread
  std::thread thread_;
};

}  // namespace mmsmo
