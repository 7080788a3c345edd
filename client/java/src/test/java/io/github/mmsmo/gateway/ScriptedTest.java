package io.github.mmsmo.gateway;

import static io.github.mmsmo.gateway.ScriptedGateway.batch;
import static io.github.mmsmo.gateway.ScriptedGateway.deliver;
import static io.github.mmsmo.gateway.ScriptedGateway.failure;
import static io.github.mmsmo.gateway.ScriptedGateway.passing;
import static io.github.mmsmo.gateway.ScriptedGateway.started;
import static io.github.mmsmo.gateway.Wait.until;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.protobuf.Any;
import com.google.protobuf.ByteString;
import com.google.protobuf.UnknownFieldSet;
import com.google.rpc.Code;
import com.google.rpc.RetryInfo;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.protobuf.StatusProto;
import io.mmsmo.v1.AckFailureReason;
import io.mmsmo.v1.AcknowledgeResponse;
import io.mmsmo.v1.ModifyAckDeadlineRequest;
import io.mmsmo.v1.ModifyAckDeadlineResponse;
import io.mmsmo.v1.SubscribeResponse;
import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Against a gateway that does what a real one does seldom. */
class ScriptedTest {
  private static final long WAIT = Ticks.ofMillis(200);

  private ScriptedGateway gateway;
  private final List<Consumer> consumers = new ArrayList<>();

  @BeforeEach
  void start() throws IOException {
    gateway = new ScriptedGateway();
  }

  @AfterEach
  void end() {
    consumers.forEach(Consumer::close);
    gateway.close();
    until("the client's threads are gone", () -> Wait.threads("mmsmo-").isEmpty());
  }

  private Consumer consume(UnaryOperator<Subscriber.Builder> set, Handler handler) {
    Consumer consumer = new Consumer(gateway.target(), set, handler);
    consumers.add(consumer);
    return consumer;
  }

  private Consumer consume(UnaryOperator<Subscriber.Builder> set) {
    return consume(set, delivery -> Verdict.ack());
  }

  private Consumer consume() {
    return consume(builder -> builder);
  }

  private static StatusRuntimeException busy() {
    RetryInfo info = RetryInfo.newBuilder().setRetryDelay(Ticks.toProto(WAIT)).build();
    return StatusProto.toStatusRuntimeException(
        com.google.rpc.Status.newBuilder()
            .setCode(Code.UNAVAILABLE_VALUE)
            .addDetails(Any.pack(info))
            .build());
  }

  @Test
  void acknowledgementsWaitAsLongAsTheGatewayAsks() {
    List<Long> calls = new CopyOnWriteArrayList<>();
    gateway.acknowledge =
        request -> {
          calls.add(System.nanoTime());
          if (calls.size() == 1) {
            throw busy();
          }
          return AcknowledgeResponse.getDefaultInstance();
        };
    Consumer consumer = consume();
    until("it is acknowledged", () -> calls.size() == 2);
    assertTrue(calls.get(1) - calls.get(0) >= WAIT);
    consumer.finish();
    assertEquals(2, calls.size());
  }

  @Test
  void streamsWaitAsLongAsTheGatewayAsks() {
    List<Long> calls = new CopyOnWriteArrayList<>();
    gateway.subscribe =
        (request, frames) -> {
          calls.add(System.nanoTime());
          if (calls.size() == 1) {
            throw busy();
          }
          deliver(frames, "a");
        };
    Consumer consumer = consume();
    until("it is handled", () -> consumer.handled() == 1);
    assertTrue(calls.get(1) - calls.get(0) >= WAIT);
  }

  @Test
  void acknowledgementsAreTriedUntilKnown() {
    gateway.subscribe =
        (request, frames) -> deliver(frames, "good", "passing", "expired", "invalid");
    AtomicInteger times = new AtomicInteger();
    Map<String, AckFailureReason> reasons =
        Map.of(
            "passing", AckFailureReason.ACK_FAILURE_REASON_TRANSIENT,
            "expired", AckFailureReason.ACK_FAILURE_REASON_EXPIRED,
            "invalid", AckFailureReason.ACK_FAILURE_REASON_INVALID);
    gateway.acknowledge =
        request -> {
          AcknowledgeResponse.Builder answer = AcknowledgeResponse.newBuilder();
          for (String ackId : request.getAckIdsList()) {
            boolean isDone = ackId.equals("passing") && times.incrementAndGet() == 3;
            if (reasons.containsKey(ackId) && !isDone) {
              answer.addFailures(failure(ackId, reasons.get(ackId)));
            }
          }
          return answer.build();
        };
    Consumer consumer = consume();
    until("all are handled", () -> consumer.handled() == 4);
    consumer.finish();
    assertEquals(3, times.get());
    assertEquals(Map.of("expired", "EXPIRED", "invalid", "INVALID"), consumer.failedAcks);
    assertEquals(2, consumer.subscriber.stats().failedAcks());
  }

  @Test
  void aFrameOfAnUnknownKindIsIgnored() {
    UnknownFieldSet.Field field =
        UnknownFieldSet.Field.newBuilder().addLengthDelimited(ByteString.copyFromUtf8("x")).build();
    SubscribeResponse unknown =
        SubscribeResponse.newBuilder()
            .setUnknownFields(UnknownFieldSet.newBuilder().addField(99, field).build())
            .build();
    gateway.subscribe =
        (request, frames) -> {
          frames.onNext(started());
          frames.onNext(unknown);
          frames.onNext(batch("a"));
        };
    Consumer consumer = consume();
    until("what comes after it is handled", () -> consumer.handled() == 1);
    consumer.finish();
    assertEquals(1, gateway.modified.size());
    ModifyAckDeadlineRequest left = gateway.modified.get(0);
    assertEquals("stream", left.getStreamId());
    assertEquals(3, left.getReceivedFrames());
    assertTrue(left.hasRelease());
    assertEquals("work", left.getSubscription());
  }

  @Test
  void whatComesAfterAStopWasNotReceived() {
    CountDownLatch more = new CountDownLatch(1);
    gateway.subscribe =
        (request, frames) -> {
          deliver(frames, "in hand");
          await(more);
          for (int i = 0; i < 100; ++i) {
            frames.onNext(batch("late"));
          }
        };
    AtomicInteger leaves = new AtomicInteger();
    gateway.modify =
        request -> {
          more.countDown();
          if (leaves.incrementAndGet() < 5) {
            throw passing();
          }
          return ModifyAckDeadlineResponse.getDefaultInstance();
        };
    Consumer consumer = consume();
    until("it has arrived", () -> consumer.handled() == 1);
    consumer.finish();
    assertEquals(5, leaves.get());
    for (ModifyAckDeadlineRequest request : gateway.modified) {
      assertEquals("stream", request.getStreamId());
      assertEquals(2, request.getReceivedFrames());
    }
    assertEquals(1, consumer.handled());
  }

  private static void await(CountDownLatch latch) {
    try {
      assertTrue(latch.await(10, TimeUnit.SECONDS));
    } catch (InterruptedException e) {
      throw new AssertionError(e);
    }
  }

  @Test
  void aStreamResumesTheOneBefore() {
    Gate gate = new Gate();
    gateway.subscribe =
        (request, frames) -> {
          if (request.getResumeStreamId().isEmpty()) {
            deliver(frames, "a", "b");
            throw passing();
          }
          gate.begun.acquireUninterruptibly();
          frames.onNext(started());
        };
    Consumer consumer = consume(builder -> builder, gate);
    until("it has connected again", () -> consumer.connected.get() == 2);
    assertEquals("stream", gateway.subscribed.get(1).getResumeStreamId());
    assertEquals(2, gateway.subscribed.get(1).getReceivedFrames());
    until("what is not this program's any more is dropped", () -> consumer.held() == 1);
    gate.open();
    consumer.finish();
    assertEquals(1, consumer.handled());
  }

  @Test
  void whatWaitsIsDroppedIfNoStreamFollowsInTime() throws InterruptedException {
    Gate gate = new Gate();
    AtomicInteger streams = new AtomicInteger();
    gateway.subscribe =
        (request, frames) -> {
          if (streams.incrementAndGet() > 1) {
            throw passing();
          }
          deliver(frames, "a", "b");
          throw passing();
        };
    Consumer consumer = consume(builder -> builder, gate);
    gate.begun.acquire();
    until("both have arrived", () -> consumer.held() == 2);
    Wait.millis(Defaults.RESUME_WINDOW_MS + 100);
    gate.open();
    until("it is handled", () -> consumer.handled() == 1);
    consumer.finish();
    assertEquals(1, consumer.handled(), "what has waited too long does not begin");
    assertTrue(
        gateway.modified.stream()
            .anyMatch(request -> request.hasRelease() && request.getAckIdsList().contains("b")),
        "and is handed back");
  }

  @Test
  void aLargeFrameArrives() {
    String large = "x".repeat(3900 << 10);
    gateway.subscribe = (request, frames) -> deliver(frames, large);
    Consumer consumer = consume();
    until("it is handled", () -> consumer.handled() == 1);
    assertTrue(consumer.attempts.containsKey(large));
  }

  @Test
  void aTokenThatWasExchangedIsTriedAgain() {
    gateway.subscribe =
        (request, frames) -> {
          if (!"Bearer new".equals(gateway.authorization.get())) {
            throw Status.UNAUTHENTICATED.asRuntimeException();
          }
          deliver(frames, "a");
        };
    AtomicInteger calls = new AtomicInteger();
    // The first look, and the first call.
    TokenSource exchanged = () -> calls.incrementAndGet() <= 2 ? "old" : "new";
    Consumer consumer = consume(builder -> builder.token(exchanged));
    until("it is handled", () -> consumer.handled() == 1);
    assertEquals(List.of(Status.Code.UNAUTHENTICATED), consumer.disconnected);
    consumer.finish();
    consume(builder -> builder.token(TokenSource.of("old"))).endsWith(Status.Code.UNAUTHENTICATED);
    consume().endsWith(Status.Code.UNAUTHENTICATED);
  }

  @Test
  void acknowledgementsShowANewToken() {
    AtomicInteger refused = new AtomicInteger();
    gateway.acknowledge =
        request -> {
          if (!"Bearer new".equals(gateway.authorization.get())) {
            refused.incrementAndGet();
            throw Status.UNAUTHENTICATED.asRuntimeException();
          }
          return AcknowledgeResponse.getDefaultInstance();
        };
    TokenSource exchanged = () -> refused.get() == 0 ? "old" : "new";
    Consumer consumer = consume(builder -> builder.token(exchanged));
    until("it is handled", () -> consumer.handled() == 1);
    consumer.finish();
    assertEquals(1, refused.get());
    assertEquals(0, consumer.subscriber.stats().failedAcks());
  }

  @Test
  void aTokenSourceThatFailsIsAskedAgain() {
    AtomicInteger calls = new AtomicInteger();
    TokenSource source =
        () -> {
          if (calls.incrementAndGet() <= 4) {
            throw new IOException("the vault is sealed");
          }
          return "x";
        };
    Consumer consumer = consume(builder -> builder.token(source));
    until("it is handled", () -> consumer.handled() == 1);
    assertFalse(consumer.disconnected.isEmpty());
    assertEquals(Status.Code.UNAVAILABLE, consumer.disconnected.get(0));
  }

  @ParameterizedTest
  @EnumSource(
      names = {
        "INVALID_ARGUMENT",
        "NOT_FOUND",
        "PERMISSION_DENIED",
        "UNIMPLEMENTED",
        "FAILED_PRECONDITION",
        "OUT_OF_RANGE"
      })
  void finalCodesEndTheRun(Status.Code code) {
    gateway.subscribe =
        (request, frames) -> {
          throw Status.fromCode(code).asRuntimeException();
        };
    consume().endsWith(code);
    assertEquals(1, gateway.subscribed.size());
  }

  @ParameterizedTest
  @EnumSource(names = {"OK", "UNAVAILABLE", "INTERNAL", "ABORTED", "RESOURCE_EXHAUSTED"})
  void othersAreTriedAgain(Status.Code code) {
    gateway.subscribe =
        (request, frames) -> {
          if (code == Status.Code.OK) {
            frames.onCompleted();
          } else {
            throw Status.fromCode(code).asRuntimeException();
          }
        };
    Consumer consumer = consume();
    until("it is tried three times", () -> gateway.subscribed.size() >= 3);
    consumer.finish();
  }

  @Test
  void theCursorDoesNotGoBeyondWhatAStopHasLeftOut() throws InterruptedException {
    gateway.subscribe =
        (request, frames) -> {
          frames.onNext(started());
          SubscribeResponse.Builder both = batch("1", "2").toBuilder();
          both.getBatchBuilder().getDeliveriesBuilder(0).getEventBuilder().setCursor("after 1");
          both.getBatchBuilder().getDeliveriesBuilder(1).getEventBuilder().setCursor("after 2");
          frames.onNext(both.setCursor("after 2").build());
          frames.onNext(SubscribeResponse.newBuilder().setCursor("beyond").build());
        };
    Subscriber subscriber = Subscriber.builder().target(gateway.target()).build();
    subscriber.follow(
        Start.earliest(),
        event -> {
          Wait.millis(50); // so that what comes next has arrived
          subscriber.stop(StopMode.FINISH, Duration.ofSeconds(10));
        });
    assertEquals("after 1", subscriber.cursor());
  }

  @Test
  void whatIsAskedForIsTold() {
    Consumer consumer =
        consume(
            builder ->
                builder
                    .clientId("me")
                    .maxBatchSize(7)
                    .maxOutstandingMessages(8)
                    .maxOutstandingBytes(9)
                    .heartbeatInterval(Duration.ofMillis(1500)));
    until("it is handled", () -> consumer.handled() == 1);
    assertEquals(
        "subscription: \"work\"\n"
            + "max_outstanding_messages: 8\n"
            + "max_outstanding_bytes: 9\n"
            + "max_batch_size: 7\n"
            + "heartbeat_interval {\n"
            + "  seconds: 1\n"
            + "  nanos: 500000000\n"
            + "}\n"
            + "client_id: \"me\"\n",
        gateway.subscribed.get(0).toString());
  }
}
