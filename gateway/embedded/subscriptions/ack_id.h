// What a consumer acknowledges a delivery by: opaque to everybody else and self-contained.

#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace mmsmo::embedded {

// Names a subscription for good; drawn at random when it is created.
using SubscriptionId = uint64_t;

struct AckId {
  SubscriptionId subscription = 0;
  uint64_t incarnation = 0;  // of the log, when the event was written; 0 in one of an older gateway
  uint32_t epoch = 0;        // how often the subscription was moved by a seek
  uint64_t sequence = 0;     // the event
  uint32_t attempt = 0;
  uint32_t lease = 0;  // tells two leases of one attempt apart: that of a replay or a copy, say

  friend bool operator==(const AckId&, const AckId&) = default;
};

// 55 characters of URL-safe base64, into memory that `text` may have already.
void EncodeAckId(const AckId& id, std::string* text);

// InvalidArgument for what EncodeAckId did not make, nor an older gateway's.
absl::StatusOr<AckId> DecodeAckId(std::string_view text);

}  // namespace mmsmo::embedded
