// What a postback is on its way to the broker, once it is judged.

#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/base/byte_budget.h"
#include "gateway/broker/broker.h"
#include "gateway/postback/postback.h"
#include "mmsmo/v1/event.pb.h"

namespace mmsmo::ingest {

// One POST, its body within the size limit.
struct Postback {
  std::string endpoint;  // its configured name
  std::string body;
  std::string content_type;                     // empty where there is none
  std::string content_encoding;                 // likewise
  std::string trace_parent;                     // a valid W3C traceparent, or empty
  std::vector<std::string> verified_by;         // the checks that it passed, as in v1.Event
  size_t max_bytes = postback::kMostBodyBytes;  // of the body once it is inflated
  ByteBudget::Part held;                        // what the body holds of its budget
};

// Judges a postback. `event` is cleared first, and holds its message where it is accepted.
postback::Judgement Judge(const Postback& postback, v1::Event* event);

// The entry of a postback with that judgement; `event` as Judge left it. An event over
// broker::kMaxEventBytes is left out, with http_status 413 and reason "body_too_large".
broker::Entry MakeEntry(Postback postback, postback::Judgement judgement, v1::Event* event);

// What an entry holds of a budget until its receipt.
int64_t CostOf(const broker::Entry& entry);

// The HTTP status of such a postback.
int StatusOf(const postback::Judgement& judgement);

// What is kept of an entry whose event the broker has found in conflict with the one at `cursor`.
broker::Entry Conflicting(broker::Entry entry, std::string_view cursor);

}  // namespace mmsmo::ingest
