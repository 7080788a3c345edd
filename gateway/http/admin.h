// What operators and their tools ask for: /healthz, /readyz and /metrics.

#pragma once

#include <functional>

#include "absl/status/status.h"
#include "gateway/base/metrics.h"
#include "gateway/http/message.h"

namespace mmsmo::http {

// `ready` says why the gateway is not ready; it and `metrics` must outlive the routes and be
// thread-safe. With `guarded`, /metrics is for clients with a certificate; the others never are,
// since the kubelet has none.
Routes AdminRoutes(std::function<absl::Status()> ready, const Metrics* metrics,
                   bool guarded = false);

}  // namespace mmsmo::http
