// What operators and their tools ask for: /healthz, /readyz and /metrics.

#pragma once

#include <functional>

#include "absl/status/status.h"
#include "gateway/base/metrics.h"
#include "gateway/http/message.h"

namespace mmsmo::http {

// `ready` says why the gateway is not ready; it and `metrics` must outlive the routes and be
// thread-safe.
Routes AdminRoutes(std::function<absl::Status()> ready, const Metrics* metrics);

}  // namespace mmsmo::http
