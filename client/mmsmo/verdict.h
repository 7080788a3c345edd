// What the handler of a named subscription says of a delivery.

#pragma once

#include <chrono>
#include <string>
#include <utility>

namespace mmsmo {

struct Verdict {
  enum class Kind { kAck, kRetry, kRetryAfter, kDeadLetter };
  Kind kind = Kind::kAck;
  std::chrono::milliseconds delay{0};  // of kRetryAfter
  std::string reason;                  // of kDeadLetter
};

// The event is done with.
inline Verdict Ack() { return {}; }

// Deliver it again after the backoff that the subscription's retry policy has for this attempt.
inline Verdict Retry() { return {.kind = Verdict::Kind::kRetry}; }

// Deliver it again after `delay`; 0: at once.
inline Verdict RetryAfter(std::chrono::milliseconds delay) {
  return {.kind = Verdict::Kind::kRetryAfter, .delay = delay};
}

// Do not deliver it again: it becomes a dead letter, which says `reason`.
inline Verdict DeadLetter(std::string reason) {
  return {.kind = Verdict::Kind::kDeadLetter, .reason = std::move(reason)};
}

}  // namespace mmsmo
