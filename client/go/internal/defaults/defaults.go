// Package defaults holds what the clients in all languages have in common: client/defaults.toml,
// under its names.
package defaults

// Times are in milliseconds. Zero of what is sent to the gateway is the gateway's default.
const (
	Concurrency            = 1
	MaxOutstandingMessages = 0
	MaxOutstandingBytes    = 0
	MaxBatchSize           = 0
	HeartbeatIntervalMs    = 0
	MinBackoffMs           = 100
	MaxBackoffMs           = 10_000
	ConnectTimeoutMs       = 10_000
	SilentHeartbeats       = 3
	ExtensionsPerDeadline  = 3
	AckLingerMs            = 10
	AckBatch               = 100
	MaxAckIds              = 1000 // in one call: the contract's limit
	MaxAcksUnderWay        = 4    // more would only make for smaller calls
	AckCallTimeoutMs       = 10_000
	StopTimeoutMs          = 10_000
	MaxHandlerTimeMs       = 0 // no ceiling
	ResumeWindowMs         = 2000
	KeepaliveTimeMs        = 30_000
	KeepaliveTimeoutMs     = 20_000 // not in the table: it is gRPC's own elsewhere
)

// All has them under the names of client/defaults.toml.
func All() map[string]any {
	return map[string]any{
		"concurrency":              Concurrency,
		"max_outstanding_messages": MaxOutstandingMessages,
		"max_outstanding_bytes":    MaxOutstandingBytes,
		"max_batch_size":           MaxBatchSize,
		"heartbeat_interval_ms":    HeartbeatIntervalMs,
		"min_backoff_ms":           MinBackoffMs,
		"max_backoff_ms":           MaxBackoffMs,
		"connect_timeout_ms":       ConnectTimeoutMs,
		"silent_heartbeats":        SilentHeartbeats,
		"extensions_per_deadline":  ExtensionsPerDeadline,
		"ack_linger_ms":            AckLingerMs,
		"ack_batch":                AckBatch,
		"max_ack_ids":              MaxAckIds,
		"max_acks_under_way":       MaxAcksUnderWay,
		"ack_call_timeout_ms":      AckCallTimeoutMs,
		"stop_timeout_ms":          StopTimeoutMs,
		"max_handler_time_ms":      MaxHandlerTimeMs,
		"resume_window_ms":         ResumeWindowMs,
		"keepalive_time_ms":        KeepaliveTimeMs,
	}
}
