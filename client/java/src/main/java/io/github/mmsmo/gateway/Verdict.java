package io.github.mmsmo.gateway;

import java.time.Duration;
import java.util.Objects;

/** What a {@link Handler} says of a delivery. */
public final class Verdict {
  private static final Verdict ACK = new Verdict(Update.ACK, null);
  private static final Verdict RETRY = new Verdict(Update.RETRY, null);

  private final Update update;
  private final Throwable failure;

  private Verdict(Update update, Throwable failure) {
    this.update = update;
    this.failure = failure;
  }

  /** The event is done with. */
  public static Verdict ack() {
    return ACK;
  }

  /**
   * Deliver it again after the backoff that the subscription's retry policy has for this attempt.
   */
  public static Verdict retry() {
    return RETRY;
  }

  /** Deliver it again after {@code delay}; nothing or less: at once. */
  public static Verdict retryAfter(Duration delay) {
    return new Verdict(Update.redeliverAfter(Math.max(Ticks.of(delay), 0)), null);
  }

  /** Do not deliver it again. It becomes a dead letter, which says {@code reason}. */
  public static Verdict deadLetter(String reason) {
    return new Verdict(Update.deadLetter(Objects.requireNonNull(reason)), null);
  }

  /**
   * {@link #retry} because of {@code failure}, which is logged and counted, as what a handler
   * throws is.
   */
  public static Verdict failed(Throwable failure) {
    return new Verdict(Update.RETRY, Objects.requireNonNull(failure));
  }

  /** What {@link #failed} was given, or was thrown; null otherwise. */
  public Throwable failure() {
    return failure;
  }

  /** "ack", "retry", "retry_after" or "dead_letter". */
  @Override
  public String toString() {
    switch (update.kind) {
      case ACK:
        return "ack";
      case REDELIVER:
        return "retry_after";
      case DEAD_LETTER:
        return "dead_letter";
      default:
        return "retry";
    }
  }

  /** What the gateway is to be told. */
  Update update() {
    return update;
  }
}
