package io.github.mmsmo.gateway;

import static org.junit.jupiter.api.Assertions.fail;

import java.time.Duration;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.function.BooleanSupplier;
import java.util.stream.Collectors;

final class Wait {
  static final Duration PATIENCE = Duration.ofSeconds(20);

  /** For what will be so soon. */
  static void until(String what, BooleanSupplier isSo) {
    for (long end = System.nanoTime() + PATIENCE.toNanos(); !isSo.getAsBoolean(); ) {
      if (System.nanoTime() > end) {
        fail("it does not come to this: " + what);
      }
      millis(1);
    }
  }

  static void millis(long count) {
    try {
      TimeUnit.MILLISECONDS.sleep(count);
    } catch (InterruptedException e) {
      throw new AssertionError(e);
    }
  }

  /** The client's threads, and with "grpc-" those of its connections. */
  static List<String> threads(String prefix) {
    return Thread.getAllStackTraces().keySet().stream()
        .map(Thread::getName)
        .filter(name -> name.startsWith(prefix))
        .collect(Collectors.toList());
  }

  private Wait() {}
}
