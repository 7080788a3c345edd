// How large a stream's frames may be: small at first, larger while the client takes them quickly,
// and all streams together within one budget, so that who stalls costs little.

#pragma once

#include <chrono>
#include <cstddef>

#include "gateway/base/byte_budget.h"

namespace mmsmo::rpc {

// One stream's. For one thread at a time.
//
//   auto batch = feed->Take({.max_bytes = sizer.Reserve()});
//   sizer.WriteBegins(batch.ok() ? batch->deliveries.size() : 0, now);
//   …                                                  // the write is done
//   sizer.WriteEnds(now);
class FrameSizer {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;
  static constexpr size_t kSmallest = 32 << 10;

  // `budget` must outlive it.
  explicit FrameSizer(ByteBudget* budget) : held_(budget) {}

  // The bytes of deliveries that the next frame may have, from 1, which lets one event through:
  // that much is held of the budget, or nothing where it is spent.
  size_t Reserve();
  // So many bytes were taken, and go out now. 0: none were there, and there is no write.
  void WriteBegins(size_t bytes, TimePoint now);
  // Where a write is under way, it is done.
  void WriteEnds(TimePoint now);

 private:
  size_t size_ = kSmallest;
  size_t reserved_ = 0;
  bool writing_ = false;
  bool full_ = false;  // the frame that goes out has used what it might
  TimePoint began_;
  ByteBudget::Part held_;
};

}  // namespace mmsmo::rpc
