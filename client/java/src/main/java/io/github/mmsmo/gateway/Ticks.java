package io.github.mmsmo.gateway;

import java.time.Duration;
import java.util.concurrent.TimeUnit;

/** Time in nanoseconds since the program began to look: never negative, so that it compares. */
final class Ticks {
  static final long NEVER = Long.MAX_VALUE;
  private static final long ORIGIN = System.nanoTime();

  // A sum of it and any tick is far from overflowing.
  private static final long LONGEST = Long.MAX_VALUE / 4;

  static long now() {
    return System.nanoTime() - ORIGIN;
  }

  static long of(Duration duration) {
    try {
      return Math.min(duration.toNanos(), LONGEST);
    } catch (ArithmeticException e) {
      return LONGEST;
    }
  }

  static long ofMillis(long millis) {
    return TimeUnit.MILLISECONDS.toNanos(millis);
  }

  static long of(com.google.protobuf.Duration duration) {
    long seconds = Math.min(duration.getSeconds(), TimeUnit.NANOSECONDS.toSeconds(LONGEST));
    return TimeUnit.SECONDS.toNanos(seconds) + duration.getNanos();
  }

  static com.google.protobuf.Duration toProto(long nanos) {
    long second = TimeUnit.SECONDS.toNanos(1);
    return com.google.protobuf.Duration.newBuilder()
        .setSeconds(nanos / second)
        .setNanos((int) (nanos % second))
        .build();
  }

  private Ticks() {}
}
