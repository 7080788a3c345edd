// What became of one postback, as it is answered and counted.

#pragma once

#include <string>
#include <string_view>

namespace mmsmo::ingest {

struct Outcome {
  enum class Kind {
    kAccepted,
    kDuplicate,
    kQuarantined,
    kRejected,     // not decodable
    kUnavailable,  // not safe: the provider is to send it again
  };
  Kind kind = Kind::kUnavailable;
  int http_status = 503;
  std::string reason;         // empty when accepted or duplicate
  std::string detail;         // likewise; for a person
  std::string cursor;         // kAccepted, kDuplicate
  std::string quarantine_id;  // where it was kept
};

// "accepted", "duplicate", "quarantined", "rejected" or "unavailable".
std::string_view Name(Outcome::Kind kind);

// What of a reason may label a metric: it is one of few words, whatever an engine or a route gives;
// "other" for what is none of them.
std::string_view ReasonLabel(std::string_view reason);

// Answered 503: one of the reasons "not_durable", "overloaded", "quarantine_full" and "draining".
Outcome Unavailable(std::string_view reason, std::string_view detail);

}  // namespace mmsmo::ingest
