#include "gateway/rpc/frame_sizer.h"

#include <algorithm>

#include "gateway/rpc/frame.h"

namespace mmsmo::rpc {
namespace {

constexpr size_t kLargest = kMaxFrameBytes - kFrameOverhead;
// A write is done once it has found room in the client's window and the socket's buffer: who reads
// makes room at once.
constexpr std::chrono::milliseconds kQuick{20};
constexpr std::chrono::milliseconds kSlow{200};

}  // namespace

size_t FrameSizer::Reserve() {
  for (reserved_ = size_; reserved_ >= kSmallest; reserved_ /= 2) {
    if (held_.Resize(static_cast<int64_t>(reserved_))) return reserved_;
  }
  return reserved_ = 1;
}

void FrameSizer::WriteBegins(size_t bytes, TimePoint now) {
  held_.Insist(static_cast<int64_t>(bytes));
  writing_ = bytes > 0;
  full_ = bytes > reserved_ / 2;
  began_ = now;
}

void FrameSizer::WriteEnds(TimePoint now) {
  if (!writing_) return;
  writing_ = false;
  held_.Resize(0);
  const auto took = now - began_;
  if (took >= kSlow) {
    size_ = std::max(size_ / 2, kSmallest);
  } else if (took <= kQuick && full_) {
    size_ = std::min(size_ * 2, kLargest);
  }
}

}  // namespace mmsmo::rpc
