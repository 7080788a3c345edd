// The endpoints that providers POST to, and how outcomes are answered.

#pragma once

#include <atomic>
#include <cstddef>
#include <memory>
#include <vector>

#include "gateway/http/endpoint.h"
#include "gateway/http/message.h"
#include "gateway/http/server.h"
#include "gateway/ingest/ingest.h"
#include "gateway/ingest/outcome.h"

namespace mmsmo::http {

// The one function from an outcome to HTTP.
Answer AnswerFor(const ingest::Outcome& outcome);

// What the routes of all threads share. All must outlive them.
struct PostbackContext {
  ingest::Ingest* ingest = nullptr;
  const std::atomic<bool>* draining = nullptr;  // while it is, postbacks are answered 503
  size_t max_body_bytes = 0;                    // of endpoints that say nothing else
};

// The routes of one thread, with a lane of their own.
Routes PostbackRoutes(const PostbackContext& context,
                      const std::vector<std::shared_ptr<Endpoint>>& endpoints, Post post);

}  // namespace mmsmo::http
