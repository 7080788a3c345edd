package io.github.mmsmo.gateway;

import java.util.function.DoubleSupplier;

/**
 * How long to wait before the next attempt: exponential, with full jitter, so that the subscribers
 * of a gateway that restarts do not come back all at once. Not for several threads.
 */
final class Backoff {
  private final long min;
  private final long max;
  private final DoubleSupplier random;
  private long ceiling;

  /** In nanoseconds; {@code random} gives what is in [0, 1). */
  Backoff(long min, long max, DoubleSupplier random) {
    this.min = min;
    this.max = max;
    this.random = random;
    reset();
  }

  /** Between nothing and a ceiling that doubles with each call. */
  long next() {
    long wait = (long) (random.getAsDouble() * ceiling);
    ceiling = Math.min(2 * ceiling, max);
    return wait;
  }

  /** After a success. */
  void reset() {
    ceiling = Math.min(min, max);
  }
}
