// Protobuf's times as the microseconds that the gateway counts in.

#pragma once

#include <google/protobuf/duration.pb.h>
#include <google/protobuf/timestamp.pb.h>

#include <algorithm>
#include <cstdint>
#include <limits>

namespace mmsmo::broker {

// `micros` since the epoch, not negative.
inline google::protobuf::Timestamp ToTimestamp(int64_t micros) {
  google::protobuf::Timestamp time;
  time.set_seconds(micros / 1'000'000);
  time.set_nanos(static_cast<int32_t>(micros % 1'000'000) * 1000);
  return time;
}

inline google::protobuf::Duration ToDuration(int64_t micros) {
  google::protobuf::Duration duration;
  duration.set_seconds(micros / 1'000'000);
  duration.set_nanos(static_cast<int32_t>(micros % 1'000'000) * 1000);
  return duration;
}

// Of a Timestamp or a Duration; what is below a microsecond is cut. One that a client made may be
// beyond what microseconds can count, and is taken for the last that they can.
template <typename Time>
int64_t MicrosOf(const Time& time) {
  constexpr int64_t kMaxSeconds = std::numeric_limits<int64_t>::max() / 1'000'000 - 10;
  const int64_t seconds = std::clamp<int64_t>(time.seconds(), -kMaxSeconds, kMaxSeconds);
  return seconds * 1'000'000 + time.nanos() / 1000;
}

}  // namespace mmsmo::broker
