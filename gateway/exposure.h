// A gateway that other machines can reach lets only those in who may, unless it is told otherwise.

#pragma once

#include "absl/status/status.h"
#include "gateway/config.h"

namespace mmsmo {

// InvalidArgument where somebody who should not could reach a listener; names the setting and what
// can be done.
absl::Status CheckExposure(const Config& config);

}  // namespace mmsmo
