// The composition: which rooms there are, and in which order they start and stop.

#pragma once

#include "absl/status/status.h"
#include "gateway/config.h"
#include "gateway/live_settings.h"

namespace mmsmo {

// Serves until SIGTERM or SIGINT, then drains and returns OK; an error says why it could not start.
// Call from the main thread before any other is started.
// On SIGHUP takes over what `read` gives, as far as it can change.
absl::Status RunGateway(Config config, const ReadConfig& read);

}  // namespace mmsmo
