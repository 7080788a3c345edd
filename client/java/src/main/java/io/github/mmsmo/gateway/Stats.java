package io.github.mmsmo.gateway;

/** How a run is doing. */
public final class Stats {
  private final int held;
  private final long failedAcks;
  private final long failedHandlers;

  Stats(int held, long failedAcks, long failedHandlers) {
    this.held = held;
    this.failedAcks = failedAcks;
    this.failedHandlers = failedHandlers;
  }

  /** How many deliveries wait here or are in a handler. */
  public int held() {
    return held;
  }

  /** How often {@link Hooks#ackFailed} was called. */
  public long failedAcks() {
    return failedAcks;
  }

  /** How many handlers threw, said {@link Verdict#failed}, or were over their time. */
  public long failedHandlers() {
    return failedHandlers;
  }

  @Override
  public String toString() {
    return "held " + held + ", failed acks " + failedAcks + ", failed handlers " + failedHandlers;
  }
}
