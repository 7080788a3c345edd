// What the clients in all languages have in common: client/defaults.toml, under its names.

// Times are in milliseconds. Zero of what is sent to the gateway is the gateway's default.
export const CONCURRENCY = 1;
export const MAX_OUTSTANDING_MESSAGES = 0;
export const MAX_OUTSTANDING_BYTES = 0;
export const MAX_BATCH_SIZE = 0;
export const HEARTBEAT_INTERVAL_MS = 0;
export const MIN_BACKOFF_MS = 100;
export const MAX_BACKOFF_MS = 10_000;
export const CONNECT_TIMEOUT_MS = 10_000;
export const SILENT_HEARTBEATS = 3;
export const EXTENSIONS_PER_DEADLINE = 3;
export const ACK_LINGER_MS = 10;
export const ACK_BATCH = 100;
/** In one call: the contract's limit. */
export const MAX_ACK_IDS = 1000;
/** More would only make for smaller calls. */
export const MAX_ACKS_UNDER_WAY = 4;
export const ACK_CALL_TIMEOUT_MS = 10_000;
export const STOP_TIMEOUT_MS = 10_000;
/** No ceiling. */
export const MAX_HANDLER_TIME_MS = 0;
export const RESUME_WINDOW_MS = 2000;
export const KEEPALIVE_TIME_MS = 30_000;
