package io.github.mmsmo.gateway;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.mmsmo.gateway.testing.EphemeralGateway;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.mmsmo.v1.Filter;
import java.io.IOException;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;

class FollowTest {
  @RegisterExtension final EphemeralGateway gateway = new EphemeralGateway();

  private Subscriber.Builder builder() {
    return Subscriber.builder()
        .target(gateway.target())
        .backoff(Duration.ofMillis(10), Duration.ofMillis(100))
        .logger(new Silence());
  }

  /** Follows until it has so many, and gives their ids. */
  private static List<String> follow(
      Subscriber subscriber, io.mmsmo.v1.StartPosition start, int count)
      throws InterruptedException {
    List<String> ids = new ArrayList<>();
    subscriber.follow(
        start,
        event -> {
          ids.add(event.getMmsMo().getTrackingId());
          if (ids.size() == count) {
            subscriber.stop(StopMode.RELEASE, Wait.PATIENCE);
          }
        });
    return ids;
  }

  @Test
  void goesOnAfterItsCursor() throws InterruptedException {
    Instant before = Instant.now().minusSeconds(1);
    List.of("1", "2", "3").forEach(gateway::post);
    Subscriber first = builder().build();
    assertEquals("", first.cursor());
    assertEquals(List.of("1", "2"), follow(first, Start.earliest(), 2));
    assertEquals(List.of("3"), follow(builder().build(), Start.afterCursor(first.cursor()), 1));
    assertEquals(List.of("1"), follow(builder().build(), Start.at(before), 1));
  }

  @Test
  void goesOnOverACutConnectionOnceEach() throws Exception {
    try (FaultyProxy way = new FaultyProxy(gateway.target())) {
      List.of("1", "2").forEach(gateway::post);
      Subscriber subscriber = builder().target(way.target()).build();
      List<String> ids = new ArrayList<>();
      subscriber.follow(
          Start.earliest(),
          event -> {
            ids.add(event.getMmsMo().getTrackingId());
            if (ids.size() == 2) {
              way.cut();
              gateway.post("3");
            } else if (ids.size() == 3) {
              subscriber.close();
            }
          });
      assertEquals(List.of("1", "2", "3"), ids);
    }
  }

  @Test
  void filters() throws InterruptedException {
    gateway.post("1");
    Filter nobody = Filter.newBuilder().addKeywords("nobody").build();
    List<String> caughtUp = new ArrayList<>();
    Subscriber[] subscriber = new Subscriber[1];
    Hooks hooks =
        new Hooks() {
          @Override
          public void caughtUp() {
            caughtUp.add(subscriber[0].cursor());
            subscriber[0].close();
          }
        };
    subscriber[0] = builder().filter(nobody).hooks(hooks).build();
    subscriber[0].follow(
        Start.earliest(),
        event -> {
          throw new AssertionError(event);
        });
    assertNotEquals(List.of(""), caughtUp, "its cursor goes beyond what was filtered");
  }

  @Test
  void aFailureEndsItWithTheCursorBeforeIt() throws Exception {
    List.of("1", "2", "3").forEach(gateway::post);
    Subscriber first = builder().build();
    IOException thrown =
        assertThrows(
            IOException.class,
            () ->
                first.follow(
                    Start.earliest(),
                    event -> {
                      if (event.getMmsMo().getTrackingId().equals("2")) {
                        throw new IOException("the disk is full");
                      }
                    }));
    assertEquals("the disk is full", thrown.getMessage());
    assertEquals(
        List.of("2", "3"), follow(builder().build(), Start.afterCursor(first.cursor()), 2));
  }

  @Test
  void anExpiredCursorNamesTheEarliest() throws Exception {
    gateway.post("1");
    Subscriber first = builder().build();
    follow(first, Start.earliest(), 1);
    gateway.stop();
    gateway.start(); // with another journal
    gateway.post("2");
    CursorExpiredException expired =
        assertThrows(
            CursorExpiredException.class,
            () -> builder().build().follow(Start.afterCursor(first.cursor()), event -> {}));
    assertEquals(Status.Code.OUT_OF_RANGE, expired.getStatus().getCode());
    assertEquals(
        List.of("2"), follow(builder().build(), Start.afterCursor(expired.earliestCursor()), 1));
  }

  @Test
  void aBadCursorEndsIt() {
    StatusRuntimeException refused =
        assertThrows(
            StatusRuntimeException.class,
            () -> builder().build().follow(Start.afterCursor("no cursor"), event -> {}));
    assertEquals(Status.Code.INVALID_ARGUMENT, refused.getStatus().getCode());
  }

  @Test
  void aStopLetsTheHandlerFinishWithinItsTime() throws InterruptedException {
    List.of("1", "2").forEach(gateway::post);
    Subscriber patient = builder().build();
    List<Boolean> interrupted = new ArrayList<>();
    patient.follow(
        Start.earliest(),
        event -> {
          patient.stop(StopMode.FINISH, Duration.ofHours(1));
          interrupted.add(Thread.currentThread().isInterrupted());
        });
    assertEquals(List.of(false), interrupted);

    Subscriber hasty = builder().build();
    assertThrows(
        InterruptedException.class,
        () ->
            hasty.follow(
                Start.earliest(),
                event -> {
                  hasty.stop(StopMode.FINISH, Duration.ofMillis(10));
                  new CountDownLatch(1).await();
                }));

    Subscriber heedless = builder().build();
    heedless.follow(
        Start.earliest(),
        event -> {
          heedless.stop(StopMode.FINISH, Duration.ofMillis(10));
          while (!Thread.currentThread().isInterrupted()) {
            Thread.onSpinWait();
          }
        });
    assertFalse(Thread.currentThread().isInterrupted());
    Wait.until("its threads are gone", () -> Wait.threads("mmsmo-").isEmpty());
  }

  @Test
  void anInterruptBetweenEventsEndsIt() throws InterruptedException {
    gateway.post("1");
    Thread[] follows = {Thread.currentThread()};
    Hooks interrupts =
        new Hooks() {
          @Override
          public void caughtUp() {
            follows[0].interrupt();
          }
        };
    Subscriber subscriber = builder().hooks(interrupts).build();
    assertThrows(
        InterruptedException.class, () -> subscriber.follow(Start.earliest(), event -> {}));
    assertFalse(Thread.currentThread().isInterrupted());
    assertTrue(!subscriber.cursor().isEmpty());
  }
}
