// What the library takes where its user says nothing. client/defaults.toml has the same for the
// libraries of all languages, and a test compares them.

#pragma once

#include <chrono>
#include <cstddef>

namespace mmsmo::defaults {

// Handlers at once, and how long one may take; 0: as long as it likes.
inline constexpr int kConcurrency = 1;
inline constexpr std::chrono::milliseconds kMaxHandlerTime{0};

// Between two attempts to connect.
inline constexpr std::chrono::milliseconds kMinBackoff{100};
inline constexpr std::chrono::milliseconds kMaxBackoff{10'000};
// Until the first frame, and heartbeats without one until the connection is given up.
inline constexpr std::chrono::milliseconds kConnectTimeout{10'000};
inline constexpr int kSilentHeartbeats = 3;
inline constexpr std::chrono::milliseconds kKeepaliveTime{30'000};
// How long a gateway keeps a stream's deliveries for its successor, by default.
inline constexpr std::chrono::milliseconds kResumeWindow{2'000};

// Leases are prolonged so often in each ack deadline.
inline constexpr int kExtensionsPerDeadline = 3;
// Updates wait this long for others, or until there are so many.
inline constexpr std::chrono::milliseconds kAckLinger{10};
inline constexpr size_t kAckBatch = 100;
// In one call: the contract's limit.
inline constexpr size_t kMaxAckIds = 1000;
// More calls would only be smaller ones: what is added meanwhile shares the next ones.
inline constexpr size_t kMaxAcksUnderWay = 4;
inline constexpr std::chrono::milliseconds kAckCallTimeout{10'000};

inline constexpr std::chrono::milliseconds kStopTimeout{10'000};

}  // namespace mmsmo::defaults
