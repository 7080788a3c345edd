package io.github.mmsmo.gateway;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.protobuf.Any;
import com.google.rpc.Code;
import com.google.rpc.RetryInfo;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.protobuf.StatusProto;
import io.mmsmo.v1.AckFailure;
import io.mmsmo.v1.AckFailureReason;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

class OutboxTest {
  private static final long NOW = Ticks.ofMillis(1_000_000);
  private static final long LINGER = Ticks.ofMillis(10);
  private final StatusRuntimeException passing = Errors.unavailable("for now");

  // Waits the whole ceiling after a failure: 100 ms, then 200 ms, then 400 ms.
  private final Outbox outbox =
      new Outbox(new Backoff(Ticks.ofMillis(100), Ticks.ofMillis(400), () -> 1));

  private static List<String> ids(int count) {
    return IntStream.range(0, count).mapToObj(Integer::toString).collect(Collectors.toList());
  }

  private static AckFailure failure(String id, AckFailureReason reason) {
    return AckFailure.newBuilder().setAckId(id).setReason(reason).build();
  }

  private static List<String> told(List<FailedUpdate> failed) {
    return failed.stream().map(one -> one.ackId + " " + one.why).collect(Collectors.toList());
  }

  @Test
  void gathersWhatComesWithinTheLinger() {
    assertEquals(Ticks.NEVER, outbox.due());
    assertTrue(outbox.add(Update.ACK, "a", NOW));
    assertFalse(outbox.add(Update.ACK, "b", NOW + LINGER / 2));
    assertEquals(NOW + LINGER, outbox.due());
    assertNull(outbox.take(NOW + LINGER - 1));
    UpdateCall call = outbox.take(NOW + LINGER);
    assertEquals(List.of("a", "b"), call.ackIds);
    assertEquals(Update.ACK, call.update);
    assertTrue(outbox.isEmpty());
  }

  @Test
  void aBatchIsDueAtOnce() {
    for (String id : ids(Defaults.ACK_BATCH - 1)) {
      outbox.add(Update.ACK, id, NOW);
    }
    assertNull(outbox.take(NOW));
    assertTrue(outbox.add(Update.ACK, "last", NOW));
    assertEquals(Defaults.ACK_BATCH, outbox.take(NOW).ackIds.size());
  }

  @Test
  void aCallHasAtMostAThousand() {
    outbox.addAll(Update.RELEASE, ids(1500), NOW);
    assertEquals(ids(1000), outbox.take(NOW).ackIds);
    assertEquals(ids(1500).subList(1000, 1500), outbox.take(NOW).ackIds);
    assertNull(outbox.take(NOW));
  }

  @Test
  void differentUpdatesDoNotShareACall() {
    outbox.add(Update.redeliverAfter(1), "a", NOW);
    outbox.add(Update.redeliverAfter(2), "b", NOW + 1);
    outbox.add(Update.deadLetter("x"), "c", NOW + 2);
    outbox.add(Update.deadLetter("y"), "d", NOW + 3);
    outbox.add(Update.redeliverAfter(1), "e", NOW + 4);
    List<List<String>> calls = new ArrayList<>();
    for (UpdateCall call; (call = outbox.take(NOW + LINGER + 4)) != null; ) {
      calls.add(call.ackIds);
    }
    assertEquals(List.of(List.of("a", "e"), List.of("b"), List.of("c"), List.of("d")), calls);
  }

  @Test
  void whatIsDueForLongestIsFirst() {
    outbox.addAll(Update.RETRY, ids(1), NOW + 1);
    outbox.addAll(Update.ACK, ids(1), NOW);
    assertEquals(Update.ACK, outbox.take(NOW + 1).update);
    assertEquals(Update.RETRY, outbox.take(NOW + 1).update);
  }

  @Test
  void inAHurryNothingWaits() {
    outbox.add(Update.ACK, "a", NOW);
    outbox.hurry(NOW);
    assertEquals(List.of("a"), outbox.take(NOW).ackIds);
    outbox.add(Update.ACK, "b", NOW);
    assertEquals(List.of("b"), outbox.take(NOW).ackIds);
  }

  @Test
  void whatMayPassIsTriedAgainLaterAndLater() {
    outbox.addAll(Update.ACK, List.of("a", "b"), NOW);
    UpdateCall call = outbox.take(NOW);
    assertTrue(outbox.onError(call, passing, NOW).isEmpty());
    assertEquals(NOW + Ticks.ofMillis(100), outbox.due());
    assertNull(outbox.take(NOW + Ticks.ofMillis(100) - 1));
    call = outbox.take(NOW + Ticks.ofMillis(100));
    assertEquals(List.of("a", "b"), call.ackIds);
    outbox.onError(call, passing, NOW + Ticks.ofMillis(100));
    assertEquals(NOW + Ticks.ofMillis(300), outbox.due());
    call = outbox.take(NOW + Ticks.ofMillis(300));
    outbox.onAnswer(call, List.of(), NOW);
    outbox.addAll(Update.ACK, List.of("c"), NOW + Ticks.ofMillis(300));
    outbox.onError(outbox.take(NOW + Ticks.ofMillis(300)), passing, NOW + Ticks.ofMillis(300));
    assertEquals(NOW + Ticks.ofMillis(400), outbox.due());
  }

  @Test
  void callsThatFailTogetherAreOneFailure() {
    outbox.addAll(Update.ACK, ids(2000), NOW);
    UpdateCall first = outbox.take(NOW);
    UpdateCall second = outbox.take(NOW);
    outbox.onError(first, passing, NOW);
    outbox.onError(second, passing, NOW + 1);
    assertEquals(NOW + Ticks.ofMillis(100), outbox.due());
  }

  @Test
  void itWaitsAsLongAsTheGatewayAsks() {
    RetryInfo info =
        RetryInfo.newBuilder().setRetryDelay(Ticks.toProto(Ticks.ofMillis(500))).build();
    StatusRuntimeException busy =
        StatusProto.toStatusRuntimeException(
            com.google.rpc.Status.newBuilder()
                .setCode(Code.UNAVAILABLE_VALUE)
                .addDetails(Any.pack(info))
                .build());
    outbox.addAll(Update.ACK, ids(1), NOW);
    outbox.onError(outbox.take(NOW), busy, NOW);
    assertEquals(NOW + Ticks.ofMillis(600), outbox.due());
  }

  @Test
  void anAnswerSaysWhatHadNoEffect() {
    outbox.addAll(Update.ACK, List.of("good", "passing", "expired", "invalid"), NOW);
    List<AckFailure> failures =
        List.of(
            failure("passing", AckFailureReason.ACK_FAILURE_REASON_TRANSIENT),
            failure("expired", AckFailureReason.ACK_FAILURE_REASON_EXPIRED),
            failure("invalid", AckFailureReason.ACK_FAILURE_REASON_INVALID));
    List<FailedUpdate> failed = outbox.onAnswer(outbox.take(NOW), failures, NOW);
    assertEquals(List.of("expired EXPIRED", "invalid INVALID"), told(failed));
    assertEquals(List.of("passing"), outbox.take(outbox.due()).ackIds);
  }

  @Test
  void aFinalFailureIsToldOfAcksAndDeadLetters() {
    StatusRuntimeException gone = Status.NOT_FOUND.asRuntimeException();
    for (Update update : List.of(Update.ACK, Update.deadLetter("x"))) {
      outbox.addAll(update, List.of("a"), NOW);
      assertEquals(List.of("a NOT_FOUND"), told(outbox.onError(outbox.take(NOW), gone, NOW)));
    }
    for (Update update : List.of(Update.RETRY, Update.RELEASE, Update.redeliverAfter(1))) {
      outbox.addAll(update, List.of("a"), NOW);
      assertTrue(outbox.onError(outbox.take(NOW), gone, NOW).isEmpty());
    }
    assertTrue(outbox.isEmpty());
  }
}
