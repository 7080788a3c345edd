#include "gateway/limit_metrics.h"

namespace mmsmo {

void ShowLimits(const Config& config, Metrics& metrics) {
  const auto show = [&metrics](const char* name, auto value) {
    metrics
        .Gauge("mmsmo_limit", "What a setting allows, by its name; 0: no limit.", {{"name", name}})
        .Set(static_cast<double>(value));
  };
  show("max-body-bytes", config.max_body_bytes);
  show("max-header-bytes", config.max_header_bytes);
  show("max-in-flight-bytes", config.max_in_flight_bytes);
  show("max-connections", config.max_connections);
  show("max-connections-per-address", config.max_connections_per_address);
  show("max-grpc-connections", config.max_grpc_connections);
  show("max-grpc-connections-per-address", config.max_grpc_connections_per_address);
  show("max-streams", config.max_streams);
  show("max-streams-per-connection", config.max_streams_per_connection);
  show("max-calls", config.max_calls);
  show("max-call-bytes", config.max_call_bytes);
  show("max-frame-bytes", config.max_frame_bytes);
}

}  // namespace mmsmo
