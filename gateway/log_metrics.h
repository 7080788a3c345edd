// What the log and its subscriptions measure, for /metrics.

#pragma once

#include <prometheus/metric_family.h>

#include <vector>

#include "gateway/broker/broker.h"

namespace mmsmo {

// Read anew at every call.
std::vector<prometheus::MetricFamily> LogMetrics(broker::Broker& broker);

}  // namespace mmsmo
