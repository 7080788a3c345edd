// The endpoint that the provider POSTs to, and how outcomes are answered.

#pragma once

#include <atomic>
#include <memory>

#include "gateway/http/message.h"
#include "gateway/http/server.h"
#include "gateway/ingest/ingest.h"
#include "gateway/ingest/outcome.h"

namespace mmsmo::http {

// The one function from an outcome to HTTP.
Answer AnswerFor(const ingest::Outcome& outcome);

// The route of one thread, with a lane of its own. `ingest` and `draining` must outlive it; while
// `draining`, postbacks are answered 503.
Route PostbackRoute(ingest::Ingest* ingest, const std::atomic<bool>* draining,
                    size_t max_body_bytes, Post post);

}  // namespace mmsmo::http
