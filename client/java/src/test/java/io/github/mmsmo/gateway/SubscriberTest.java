package io.github.mmsmo.gateway;

import static io.github.mmsmo.gateway.Consumer.NAME;
import static io.github.mmsmo.gateway.Consumer.handledOnce;
import static io.github.mmsmo.gateway.Consumer.idOf;
import static io.github.mmsmo.gateway.Wait.until;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.protobuf.Duration;
import io.github.mmsmo.gateway.testing.EphemeralGateway;
import io.grpc.ManagedChannel;
import io.grpc.Status;
import io.mmsmo.v1.DeleteSubscriptionRequest;
import io.mmsmo.v1.GetSubscriptionRequest;
import io.mmsmo.v1.ListDeadLettersRequest;
import io.mmsmo.v1.RetryPolicy;
import io.mmsmo.v1.Subscription;
import io.mmsmo.v1.SubscriptionServiceGrpc;
import io.mmsmo.v1.SubscriptionServiceGrpc.SubscriptionServiceBlockingStub;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;

/** Against the real gateway. */
class SubscriberTest {
  @RegisterExtension final EphemeralGateway gateway = new EphemeralGateway();

  private ManagedChannel channel;
  private SubscriptionServiceBlockingStub subscriptions;
  private final List<AutoCloseable> toClose = new ArrayList<>();

  @BeforeEach
  void connect() {
    channel = Subscriber.builder().target(gateway.target()).openChannel();
    subscriptions = SubscriptionServiceGrpc.newBlockingStub(channel);
  }

  @AfterEach
  void closeAll() throws Exception {
    Collections.reverse(toClose);
    for (AutoCloseable one : toClose) {
      one.close();
    }
    channel.shutdownNow();
    until("the client's threads are gone", () -> Wait.threads("mmsmo-").isEmpty());
  }

  private <T extends AutoCloseable> T closed(T one) {
    toClose.add(one);
    return one;
  }

  private Consumer consume(Handler handler) {
    return closed(new Consumer(gateway.target(), builder -> builder, handler));
  }

  private Consumer consume() {
    return closed(new Consumer(gateway.target()));
  }

  private FaultyProxy proxy() throws Exception {
    return closed(new FaultyProxy(gateway.target()));
  }

  private static Subscription.Builder quick() {
    Duration backoff = Ticks.toProto(Ticks.ofMillis(10));
    return Subscription.newBuilder()
        .setName(NAME)
        .setRetryPolicy(
            RetryPolicy.newBuilder().setMinimumBackoff(backoff).setMaximumBackoff(backoff));
  }

  private List<String> post(int count) {
    List<String> ids =
        IntStream.range(0, count).mapToObj(i -> "id-" + i).collect(Collectors.toList());
    ids.parallelStream().forEach(gateway::post);
    return ids;
  }

  private Subscription now() {
    return subscriptions
        .getSubscription(GetSubscriptionRequest.newBuilder().setName(NAME).build())
        .getSubscription();
  }

  private void untilAllIsAcknowledged() {
    until("all is acknowledged", () -> now().getBacklogCount() == 0);
  }

  @Test
  void verdictsBecomeWhatTheySay() {
    gateway.createSubscription(quick());
    List.of("acked", "retried", "delayed", "dead").forEach(gateway::post);
    List<Long> delayed = new CopyOnWriteArrayList<>();
    Consumer consumer =
        consume(
            delivery -> {
              String id = idOf(delivery);
              if (id.equals("delayed")) {
                delayed.add(System.nanoTime());
              }
              if (delivery.attempt() > 1 || id.equals("acked")) {
                return Verdict.ack();
              }
              if (id.equals("delayed")) {
                return Verdict.retryAfter(java.time.Duration.ofMillis(300));
              }
              return id.equals("dead") ? Verdict.deadLetter("it is enough") : Verdict.retry();
            });
    untilAllIsAcknowledged();
    consumer.finish();
    assertEquals(List.of(1), consumer.attempts.get("acked"));
    assertEquals(List.of(1, 2), consumer.attempts.get("retried"));
    assertEquals(List.of(1, 2), consumer.attempts.get("delayed"));
    assertEquals(List.of(1), consumer.attempts.get("dead"));
    assertTrue(delayed.get(1) - delayed.get(0) >= Ticks.ofMillis(300));
    String reason =
        subscriptions
            .listDeadLetters(ListDeadLettersRequest.newBuilder().setSubscription(NAME).build())
            .getDeadLetters(0)
            .getReason();
    assertEquals("it is enough", reason);
  }

  @Test
  void resumesOverACutConnection() throws Exception {
    gateway.createSubscription(NAME);
    List<String> ids = post(100);
    FaultyProxy way = proxy();
    Gate gate = new Gate();
    Consumer consumer =
        closed(new Consumer(way.target(), builder -> builder.maxBatchSize(10), gate));
    for (int i = 1; i <= 3; ++i) {
      int cuts = i;
      until("it has connected", () -> consumer.connected.get() == cuts);
      way.cut();
    }
    gate.open();
    untilAllIsAcknowledged();
    consumer.finish();
    handledOnce(ids, consumer);
    consumer.attempts.values().forEach(attempts -> assertEquals(List.of(1), attempts));
    assertEquals(3, consumer.disconnected.size());
  }

  @Test
  void aStopThatFinishesHandlesWhatHasArrived() {
    gateway.createSubscription(quick().setMaxAttempts(1));
    List<String> ids = post(3000);
    Gate gate = new Gate();
    Consumer first =
        closed(new Consumer(gateway.target(), builder -> builder.maxBatchSize(10), gate));
    until("1,000 are in hand", () -> first.held() >= 1000);
    first.subscriber.stop(StopMode.FINISH, Wait.PATIENCE);
    int inHand = first.held();
    gate.open();
    first.endsWell();
    assertEquals(inHand, first.handled());
    assertEquals(0, now().getStreamCount());
    Consumer second = consume();
    untilAllIsAcknowledged();
    second.finish();
    handledOnce(ids, first, second);
  }

  @Test
  void aStopThatReleasesGivesTheRestToOthersAtOnce() throws InterruptedException {
    gateway.createSubscription(quick().setMaxAttempts(1));
    List<String> ids = post(1500);
    Gate gate = new Gate();
    Consumer first = consume(gate);
    gate.begun.acquire();
    until("1,000 are in hand", () -> first.held() >= 1000);
    Consumer second = consume();
    until("the other has begun", () -> second.connected.get() == 1);
    long stopped = System.nanoTime();
    first.subscriber.close();
    until("the other has all but one", () -> second.handled() == ids.size() - 1);
    assertTrue(System.nanoTime() - stopped < Ticks.ofMillis(5_000));
    assertTrue(first.thread.isAlive(), "its handler finishes");
    gate.open();
    first.endsWell();
    untilAllIsAcknowledged();
    second.finish();
    handledOnce(ids, first, second);
    assertEquals(0, now().getDeadLetterCount());
  }

  @Test
  void aStopLeavesTheStreamThatReplacesAnother() throws Exception {
    gateway.createSubscription(NAME);
    List<String> ids = post(500);
    FaultyProxy way = proxy();
    Gate gate = new Gate();
    Consumer first =
        closed(
            new Consumer(
                way.target(),
                builder -> builder.maxBatchSize(10).maxOutstandingMessages(100),
                gate));
    until("some are in hand", () -> first.held() == 100);
    first.subscriber.stop(StopMode.FINISH, Wait.PATIENCE);
    way.cut();
    until("it has connected again", () -> first.connected.get() == 2);
    gateway.post("later");
    Consumer second = consume();
    until("the other has the rest", () -> second.handled() == 401);
    gate.open();
    first.endsWell();
    second.finish();
    assertEquals(100, first.handled());
    ids.add("later");
    handledOnce(ids, first, second);
  }

  @Test
  void aStopThatIsOverItsTimeInterruptsItsHandlers() throws InterruptedException {
    gateway.createSubscription(NAME);
    post(20);
    AtomicBoolean wasCancelled = new AtomicBoolean();
    CountDownLatch begun = new CountDownLatch(1);
    CountDownLatch told = new CountDownLatch(1);
    Consumer consumer =
        consume(
            delivery -> {
              begun.countDown();
              delivery.onCancelled(told::countDown);
              try {
                new CountDownLatch(1).await();
              } catch (InterruptedException e) {
                wasCancelled.set(delivery.isCancelled());
              }
              return Verdict.ack();
            });
    begun.await();
    until("all have arrived", () -> consumer.held() == 20);
    consumer.subscriber.stop(StopMode.FINISH, java.time.Duration.ofMillis(50));
    consumer.endsWell();
    assertEquals(0, told.getCount());
    assertTrue(wasCancelled.get());
    assertEquals(19, now().getBacklogCount(), "what it said counts");
    Consumer other = consume();
    until("the others are handled at once", () -> other.handled() == 19);
  }

  @Test
  void aHandlerThatHeedsNothingHoldsNoStopUp() {
    gateway.createSubscription(NAME);
    gateway.post("stuck");
    AtomicBoolean hasBegun = new AtomicBoolean();
    AtomicBoolean isToEnd = new AtomicBoolean();
    Consumer stuck =
        consume(
            delivery -> {
              hasBegun.set(true);
              while (!isToEnd.get()) {
                Thread.onSpinWait();
              }
              return Verdict.ack();
            });
    until("it is in a handler", hasBegun::get);
    stuck.subscriber.stop(StopMode.FINISH, java.time.Duration.ofHours(1));
    stuck.subscriber.stop(StopMode.RELEASE, java.time.Duration.ZERO);
    assertInstanceOf(HandlersRunningException.class, stuck.end());
    isToEnd.set(true);
  }

  @Test
  void anInterruptOfTheRunReleases() throws Exception {
    gateway.createSubscription(NAME);
    List<String> ids = post(20);
    Gate gate = new Gate();
    Consumer consumer = consume(gate);
    gate.begun.acquire();
    until("all have arrived", () -> consumer.held() == ids.size());
    consumer.thread.interrupt();
    until("the rest is released", () -> consumer.held() == 1);
    gate.open();
    assertInstanceOf(InterruptedException.class, consumer.end());
    assertEquals(1, consumer.handled(), "its handler was not interrupted");
    assertEquals(19, now().getBacklogCount());
  }

  @Test
  void aSecondInterruptReachesTheHandlers() throws Exception {
    gateway.createSubscription(NAME);
    gateway.post("stuck");
    Gate gate = new Gate();
    Consumer consumer = consume(gate);
    gate.begun.acquire();
    consumer.thread.interrupt();
    until("it is leaving", () -> !Wait.threads("mmsmo-timer").isEmpty());
    consumer.thread.interrupt();
    assertInstanceOf(InterruptedException.class, consumer.end());
    assertEquals(0, consumer.handled());
    assertEquals(1, consumer.subscriber.stats().failedHandlers());
  }

  @Test
  void aBlackHoleIsNoticedAndLeft() throws Exception {
    gateway.createSubscription(NAME);
    List<String> ids = post(100);
    FaultyProxy way = proxy();
    Gate gate = new Gate();
    long heartbeat = 300;
    Consumer consumer =
        closed(
            new Consumer(
                way.target(),
                builder -> builder.heartbeatInterval(java.time.Duration.ofMillis(heartbeat)),
                gate));
    until("all have arrived", () -> consumer.held() == 100);
    way.dig();
    long fell = System.nanoTime();
    until("it is noticed", () -> !consumer.disconnected.isEmpty());
    assertTrue(System.nanoTime() - fell < Ticks.ofMillis(3 * heartbeat + 500));
    assertEquals(Status.Code.DEADLINE_EXCEEDED, consumer.disconnected.get(0));
    way.openWay();
    gate.open();
    untilAllIsAcknowledged();
    consumer.finish();
    handledOnce(ids, consumer);
  }

  @Test
  void aBlackHoleAtTheBeginningIsNoticed() throws Exception {
    gateway.createSubscription(NAME);
    gateway.post("late");
    FaultyProxy way = proxy();
    way.dig();
    Consumer consumer =
        closed(
            new Consumer(
                way.target(),
                builder -> builder.connectTimeout(java.time.Duration.ofMillis(200)),
                delivery -> Verdict.ack()));
    until("it is noticed twice", () -> consumer.disconnected.size() > 1);
    way.openWay();
    until("it is handled", () -> consumer.handled() == 1);
  }

  @Test
  void eachAttemptIsAConnection() throws Exception {
    FaultyProxy shut = closed(new FaultyProxy("127.0.0.1:1")); // takes connections and closes them
    Consumer consumer =
        closed(
            new Consumer(
                shut.target(),
                builder ->
                    builder.backoff(java.time.Duration.ofMillis(1), java.time.Duration.ofMillis(1)),
                delivery -> Verdict.ack()));
    int failures = 20;
    until("it has failed often", () -> consumer.disconnected.size() >= failures);
    assertTrue(shut.taken.get() >= failures, shut.taken + " connections");
  }

  @Test
  void aStopEndsSoonWithoutAGateway() throws Exception {
    Consumer refused =
        closed(new Consumer("127.0.0.1:1", builder -> builder, delivery -> Verdict.ack()));
    until("it was refused", () -> !refused.disconnected.isEmpty());
    FaultyProxy hole = proxy();
    hole.dig();
    Consumer ignored =
        closed(new Consumer(hole.target(), builder -> builder, delivery -> Verdict.ack()));
    until("it waits for an answer", () -> hole.taken.get() == 1);
    long stopped = System.nanoTime();
    refused.finish();
    ignored.finish();
    assertTrue(System.nanoTime() - stopped < Ticks.ofMillis(2_000));
  }

  @Test
  void aHandlerHasNoMoreThanItsTime() {
    gateway.createSubscription(quick());
    List<String> ids = post(10);
    gateway.post("ignores");
    AtomicInteger again = new AtomicInteger();
    Consumer consumer =
        closed(
            new Consumer(
                gateway.target(),
                builder -> builder.concurrency(12).maxHandlerTime(java.time.Duration.ofMillis(50)),
                delivery -> {
                  if (delivery.attempt() > 1) {
                    again.incrementAndGet();
                    return Verdict.ack();
                  }
                  try {
                    new CountDownLatch(1).await();
                  } catch (InterruptedException e) {
                    assertTrue(delivery.isCancelled());
                  }
                  if (idOf(delivery).equals("ignores")) {
                    until("it comes again meanwhile", () -> again.get() == ids.size() + 1);
                  }
                  return Verdict.deadLetter("this counts no more");
                }));
    untilAllIsAcknowledged();
    consumer.finish();
    assertEquals(0, now().getDeadLetterCount());
    assertEquals(ids.size() + 1, consumer.subscriber.stats().failedHandlers());
    assertEquals(0, consumer.subscriber.stats().failedAcks());
  }

  @Test
  void anInterruptIsOfOneDeliveryOnly() {
    gateway.createSubscription(quick());
    AtomicBoolean wasInterrupted = new AtomicBoolean();
    Consumer consumer =
        consume(
            delivery -> {
              wasInterrupted.compareAndSet(false, Thread.currentThread().isInterrupted());
              Thread.currentThread().interrupt(); // and leaves it so
              return Verdict.ack();
            });
    post(3);
    untilAllIsAcknowledged();
    consumer.finish();
    assertFalse(wasInterrupted.get());
  }

  @Test
  void aHandlerThatFailsIsARetry() {
    gateway.createSubscription(quick());
    List.of("throws", "is broken", "says null", "says so").forEach(gateway::post);
    Silence log = new Silence();
    Consumer consumer =
        closed(
            new Consumer(
                gateway.target(),
                builder -> builder.logger(log),
                delivery -> {
                  if (delivery.attempt() > 1) {
                    return Verdict.ack();
                  }
                  switch (idOf(delivery)) {
                    case "throws":
                      throw new Exception("no");
                    case "is broken":
                      throw new StackOverflowError();
                    case "says null":
                      return null;
                    default:
                      return Verdict.failed(new IllegalStateException());
                  }
                }));
    untilAllIsAcknowledged();
    consumer.finish();
    assertEquals(4, consumer.subscriber.stats().failedHandlers());
    assertEquals(4, log.lines.get());
  }

  @Test
  void leasesAreProlonged() {
    long deadline = 1000;
    gateway.createSubscription(quick().setAckDeadline(Ticks.toProto(Ticks.ofMillis(deadline))));
    List<String> ids = post(3);
    Consumer consumer =
        consume(
            delivery -> {
              Wait.millis(deadline * 3 / 4); // so that the last would wait for twice its lease
              return Verdict.ack();
            });
    untilAllIsAcknowledged();
    consumer.finish();
    handledOnce(ids, consumer);
  }

  @Test
  void anAcknowledgementWithoutEffectIsTold() throws Exception {
    gateway.createSubscription(NAME);
    gateway.post("gone");
    Gate gate = new Gate();
    Consumer consumer = consume(gate);
    gate.begun.acquire();
    subscriptions.deleteSubscription(DeleteSubscriptionRequest.newBuilder().setName(NAME).build());
    gate.open();
    consumer.endsWith(Status.Code.NOT_FOUND);
    assertEquals(1, consumer.subscriber.stats().failedAcks());
    assertEquals(List.of("NOT_FOUND"), List.copyOf(consumer.failedAcks.values()));
  }

  @Test
  void anUnknownSubscriptionEndsTheRun() {
    consume().endsWith(Status.Code.NOT_FOUND);
  }

  @Test
  void aSubscriberRunsOnceAndNotAfterAStop() throws Exception {
    Subscriber subscriber = Subscriber.builder().target(gateway.target()).build();
    subscriber.stop(StopMode.FINISH, java.time.Duration.ofHours(1));
    subscriber.run(NAME, delivery -> Verdict.ack());
    assertThrows(
        IllegalStateException.class, () -> subscriber.run(NAME, delivery -> Verdict.ack()));
    assertThrows(
        IllegalStateException.class, () -> subscriber.follow(Start.earliest(), event -> {}));
    assertEquals(0, subscriber.stats().held());
  }

  @Test
  void signalsStop() throws Exception {
    gateway.createSubscription(NAME);
    post(10);
    Gate gate = new Gate();
    Consumer consumer =
        closed(
            new Consumer(
                gateway.target(),
                builder -> builder.stopOnSignals(true).stopTimeout(Wait.PATIENCE),
                gate));
    gate.begun.acquire();
    until("all have arrived", () -> consumer.held() == 10);
    signal("TERM");
    Consumer other = consume();
    // By then the signal has arrived, which kill does not wait for.
    until("another is there", () -> other.connected.get() == 1);
    gateway.post("later");
    until("another has what comes", () -> other.handled() == 1);
    assertEquals(10, consumer.held());
    signal("INT");
    until("another has what was released", () -> other.handled() == 10);
    gate.open();
    consumer.endsWell();
    assertEquals(1, consumer.handled());
  }

  private static void signal(String name) throws Exception {
    new ProcessBuilder("kill", "-" + name, Long.toString(ProcessHandle.current().pid()))
        .start()
        .waitFor();
  }

  @Test
  void hooksAreToldOfHandlersAndMayFail() throws Exception {
    gateway.createSubscription(NAME);
    gateway.post("traced");
    List<String> told = new CopyOnWriteArrayList<>();
    Thread[] threads = new Thread[3];
    Hooks hooks =
        new Hooks() {
          @Override
          public java.util.function.Consumer<Verdict> handling(Delivery delivery) {
            threads[0] = Thread.currentThread();
            told.add("began " + idOf(delivery));
            return verdict -> {
              threads[1] = Thread.currentThread();
              told.add("ended " + verdict);
              throw new NoClassDefFoundError("a hook that fails");
            };
          }

          @Override
          public void connected() {
            throw new IllegalStateException("a hook that fails");
          }
        };
    Subscriber subscriber =
        Subscriber.builder().target(gateway.target()).hooks(hooks).logger(new Silence()).build();
    subscriber.run(
        NAME,
        delivery -> {
          threads[2] = Thread.currentThread();
          subscriber.stop(StopMode.FINISH, Wait.PATIENCE);
          return Verdict.ack();
        });
    assertEquals(List.of("began traced", "ended ack"), told);
    assertEquals(threads[2], threads[0]);
    assertEquals(threads[2], threads[1]);
    assertEquals(0, now().getBacklogCount());
  }

  @Test
  void aRunLeavesNoThreadsBehind() {
    gateway.createSubscription(NAME);
    gateway.post("one");
    Consumer consumer = consume();
    until("it is handled", () -> consumer.handled() == 1);
    channel.shutdownNow();
    consumer.finish();
    // gRPC keeps those of its last connection for a second.
    until("they are gone", () -> Wait.threads("grpc-").isEmpty());
    assertNull(consumer.end());
  }

  @Test
  void manyHandlersAtOnce() {
    gateway.createSubscription(NAME);
    post(5);
    Gate gate = new Gate();
    Consumer consumer =
        closed(new Consumer(gateway.target(), builder -> builder.concurrency(4), gate));
    until("four have begun", () -> gate.begun.availablePermits() == 4);
    assertEquals(5, consumer.held());
    gate.open();
    untilAllIsAcknowledged();
  }
}
