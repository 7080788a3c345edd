// The composition: which rooms there are, and in which order they start and stop.

#pragma once

#include "absl/status/status.h"
#include "gateway/config.h"

namespace mmsmo {

// Serves until SIGTERM or SIGINT, then drains and returns OK; an error says why it could not start.
// Call from the main thread before any other is started.
absl::Status RunGateway(const Config& config);

}  // namespace mmsmo
