// Protobuf's times as the microseconds that the gateway counts in.

#pragma once

#include <google/protobuf/duration.pb.h>
#include <google/protobuf/timestamp.pb.h>

#include <cstdint>

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

// Of a Timestamp or a Duration; what is below a microsecond is cut.
template <typename Time>
int64_t MicrosOf(const Time& time) {
  return time.seconds() * 1'000'000 + time.nanos() / 1000;
}

}  // namespace mmsmo::broker
