package io.github.mmsmo.gateway;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;

import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.FutureTask;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.UnaryOperator;

/** A subscriber that runs on "work", and what it saw. */
final class Consumer implements Hooks, AutoCloseable {
  static final String NAME = "work";

  final Subscriber subscriber;
  final Map<String, List<Integer>> attempts = new ConcurrentHashMap<>(); // by tracking id
  final AtomicInteger connected = new AtomicInteger();
  final List<Status.Code> disconnected = new CopyOnWriteArrayList<>();
  final Map<String, String> failedAcks = new ConcurrentHashMap<>();
  final Thread thread;
  private final FutureTask<Void> end;

  Consumer(String target, UnaryOperator<Subscriber.Builder> set, Handler handler) {
    Subscriber.Builder builder =
        Subscriber.builder()
            .target(target)
            .backoff(Duration.ofMillis(10), Duration.ofMillis(100))
            .logger(new Silence())
            .hooks(this);
    subscriber = set.apply(builder).build();
    end =
        new FutureTask<>(
            () -> {
              subscriber.run(NAME, noting(handler));
              return null;
            });
    thread = new Thread(end, "consumer");
    thread.start();
  }

  /** Acknowledges everything. */
  Consumer(String target) {
    this(target, builder -> builder, delivery -> Verdict.ack());
  }

  private Handler noting(Handler handler) {
    return delivery -> {
      Verdict verdict = handler.handle(delivery);
      attempts
          .computeIfAbsent(idOf(delivery), absent -> new CopyOnWriteArrayList<>())
          .add(delivery.attempt());
      return verdict;
    };
  }

  static String idOf(Delivery delivery) {
    return delivery.event().getMmsMo().getTrackingId();
  }

  int handled() {
    return attempts.size();
  }

  int held() {
    return subscriber.stats().held();
  }

  /** What the run ended with; null: it returned. */
  Throwable end() {
    try {
      end.get(Wait.PATIENCE.toSeconds(), TimeUnit.SECONDS);
      return null;
    } catch (ExecutionException e) {
      return e.getCause();
    } catch (InterruptedException | TimeoutException e) {
      throw new AssertionError("it does not end", e);
    }
  }

  void endsWell() {
    assertNull(end());
  }

  void endsWith(Status.Code code) {
    assertEquals(code, Status.fromThrowable(end()).getCode());
  }

  void finish() {
    subscriber.stop(StopMode.FINISH, Wait.PATIENCE);
    endsWell();
  }

  /** Each of {@code ids} was handled once, by one of these. */
  static void handledOnce(Collection<String> ids, Consumer... consumers) {
    List<String> handled = new ArrayList<>();
    for (Consumer consumer : consumers) {
      consumer.attempts.forEach((id, times) -> times.forEach(time -> handled.add(id)));
      assertEquals(0, consumer.subscriber.stats().failedAcks());
    }
    List<String> wanted = new ArrayList<>(ids);
    wanted.sort(null);
    handled.sort(null);
    assertEquals(wanted, handled);
  }

  @Override
  public void close() {
    subscriber.stop(StopMode.RELEASE, Duration.ZERO);
    end();
  }

  @Override
  public void connected() {
    connected.incrementAndGet();
  }

  @Override
  public void disconnected(StatusRuntimeException why) {
    disconnected.add(why.getStatus().getCode());
  }

  @Override
  public void ackFailed(String ackId, String why) {
    failedAcks.put(ackId, why);
  }
}
