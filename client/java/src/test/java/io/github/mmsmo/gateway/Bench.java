package io.github.mmsmo.gateway;

import io.github.mmsmo.gateway.testing.EphemeralGateway;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * Prints how many events a second are handled and acknowledged, and what 10,000 in hand take.
 * MMSMO_COMMAND posts them. The first round is that of a Java that has just begun.
 */
public final class Bench {
  private static final int EVENTS = 50_000;
  private static final int IN_HAND = 10_000;

  private final EphemeralGateway gateway = new EphemeralGateway();

  private void post(int count) throws IOException, InterruptedException {
    Process send =
        new ProcessBuilder(
                System.getenv("MMSMO_COMMAND"),
                "send",
                "--url",
                gateway.url(),
                "--count",
                Integer.toString(count),
                "--connections",
                "64")
            .redirectError(ProcessBuilder.Redirect.INHERIT)
            .redirectOutput(ProcessBuilder.Redirect.DISCARD)
            .start();
    if (send.waitFor() != 0) {
      throw new IOException("the events were not posted");
    }
  }

  private void acknowledge(String subscription, int concurrency) throws InterruptedException {
    gateway.createSubscription(subscription);
    AtomicInteger handled = new AtomicInteger();
    try (Subscriber subscriber =
        Subscriber.builder().target(gateway.target()).concurrency(concurrency).build()) {
      long begin = System.nanoTime();
      subscriber.run(
          subscription,
          delivery -> {
            if (handled.incrementAndGet() == EVENTS) {
              subscriber.stop(StopMode.FINISH, Duration.ofSeconds(10));
            }
            return Verdict.ack();
          });
      double seconds = (System.nanoTime() - begin) / 1e9;
      System.out.printf(
          "%d handlers: %.0f acknowledged events a second (%s)%n",
          concurrency, EVENTS / seconds, subscriber.stats());
    }
  }

  private void hold() throws InterruptedException, IOException {
    gateway.createSubscription("hold");
    long before = residentKilobytes();
    CountDownLatch release = new CountDownLatch(1);
    try (Subscriber subscriber =
        Subscriber.builder().target(gateway.target()).maxOutstandingMessages(IN_HAND).build()) {
      Thread thread =
          new Thread(
              () -> {
                try {
                  subscriber.run(
                      "hold",
                      delivery -> {
                        release.await();
                        return Verdict.ack();
                      });
                } catch (InterruptedException e) {
                  throw new AssertionError(e);
                }
              });
      thread.start();
      while (subscriber.stats().held() < IN_HAND) {
        TimeUnit.MILLISECONDS.sleep(1);
      }
      System.gc();
      System.out.printf(
          "%d in hand: %.1f MB more than without, heap %.1f MB%n",
          IN_HAND,
          (residentKilobytes() - before) / 1e3,
          (Runtime.getRuntime().totalMemory() - Runtime.getRuntime().freeMemory()) / 1e6);
      subscriber.stop(StopMode.RELEASE, Duration.ofSeconds(10));
      release.countDown();
      thread.join();
    }
  }

  private static long residentKilobytes() throws IOException {
    System.gc();
    for (String line : Files.readAllLines(Path.of("/proc/self/status"))) {
      if (line.startsWith("VmRSS:")) {
        return Long.parseLong(line.replaceAll("\\D", ""));
      }
    }
    throw new IOException("there is no VmRSS");
  }

  public static void main(String[] arguments) throws Exception {
    Bench bench = new Bench();
    bench.gateway.start();
    try {
      bench.post(EVENTS);
      bench.hold();
      for (int round = 0; round < 6; ++round) {
        bench.acknowledge("one-" + round, 1);
      }
      bench.acknowledge("four", 4);
    } finally {
      bench.gateway.stop();
    }
  }
}
