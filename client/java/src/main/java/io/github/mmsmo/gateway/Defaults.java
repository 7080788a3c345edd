package io.github.mmsmo.gateway;

/**
 * What a {@link Subscriber} takes where its user says nothing: {@code client/defaults.toml}, which
 * the clients in all languages have in common. Times are in milliseconds. Zero of what is sent to
 * the gateway is the gateway's default.
 */
public final class Defaults {
  public static final int CONCURRENCY = 1;

  /** No ceiling. */
  public static final int MAX_HANDLER_TIME_MS = 0;

  public static final int MAX_OUTSTANDING_MESSAGES = 0;
  public static final long MAX_OUTSTANDING_BYTES = 0;
  public static final int MAX_BATCH_SIZE = 0;
  public static final int HEARTBEAT_INTERVAL_MS = 0;
  public static final int MIN_BACKOFF_MS = 100;
  public static final int MAX_BACKOFF_MS = 10_000;
  public static final int CONNECT_TIMEOUT_MS = 10_000;
  public static final int SILENT_HEARTBEATS = 3;
  public static final int KEEPALIVE_TIME_MS = 30_000;
  public static final int RESUME_WINDOW_MS = 2_000;
  public static final int EXTENSIONS_PER_DEADLINE = 3;
  public static final int ACK_LINGER_MS = 10;
  public static final int ACK_BATCH = 100;

  /** In one call: the contract's limit. */
  public static final int MAX_ACK_IDS = 1_000;

  /** More would only make for smaller calls. */
  public static final int MAX_ACKS_UNDER_WAY = 4;

  public static final int ACK_CALL_TIMEOUT_MS = 10_000;
  public static final int STOP_TIMEOUT_MS = 10_000;

  private Defaults() {}
}
