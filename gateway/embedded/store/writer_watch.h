// Since when a writer has been at one thing, so that others see that its disk hangs, and wait for
// nothing themselves.

#pragma once

#include <atomic>
#include <cstdint>

#include "absl/status/status.h"
#include "gateway/base/clock.h"
#include "gateway/base/status.h"

namespace mmsmo::embedded {

// For one writer and any who watch it.
//
//   std::vector<Request> requests = TakeRequests();
//   const auto working = watch.Begin();
//   Serve(std::move(requests));
class WriterWatch {
 public:
  // Less than postbacks wait for their answer, more than a disk takes that works.
  static constexpr int64_t kTooLongMicros = 5'000'000;

  // `clock` must outlive the watch.
  explicit WriterWatch(const Clock& clock) : clock_(clock) {}

  // Ends with the work.
  class Working {
   public:
    explicit Working(std::atomic<int64_t>* since) : since_(since) {}
    ~Working() { *since_ = kNever; }
    Working(const Working&) = delete;
    Working& operator=(const Working&) = delete;

   private:
    std::atomic<int64_t>* const since_;
  };
  [[nodiscard]] Working Begin() {
    since_ = clock_.MonotonicMicros();
    return Working(&since_);
  }

  // Unavailable while the writer has been at one thing for too long. Does not block.
  absl::Status Check() const {
    const int64_t since = since_;
    if (since == kNever || clock_.MonotonicMicros() - since < kTooLongMicros)
      return absl::OkStatus();
    return Unavailable("the disk has not answered for over {} s", kTooLongMicros / 1'000'000);
  }

 private:
  static constexpr int64_t kNever = -1;

  const Clock& clock_;
  std::atomic<int64_t> since_{kNever};
};

}  // namespace mmsmo::embedded
