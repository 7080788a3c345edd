// What the settings allow, for /metrics, beside what is in use.

#pragma once

#include "gateway/base/metrics.h"
#include "gateway/config.h"

namespace mmsmo {

void ShowLimits(const Config& config, Metrics& metrics);

}  // namespace mmsmo
