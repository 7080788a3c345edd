package io.github.mmsmo.gateway;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;

class DeliveriesTest {
  private long now;
  private final Deliveries deliveries = new Deliveries(() -> now);

  private void push(String... ids) {
    List<io.mmsmo.v1.Delivery> frame = new ArrayList<>();
    for (String id : ids) {
      frame.add(io.mmsmo.v1.Delivery.newBuilder().setAckId(id).setAttempt(1).build());
    }
    deliveries.push(frame);
  }

  @Test
  void areTakenInTheirOrder() {
    push("a", "b");
    push("c");
    assertEquals("a", deliveries.take().ackId());
    assertEquals("b", deliveries.take().ackId());
    assertEquals("c", deliveries.take().ackId());
    assertEquals(3, deliveries.held());
  }

  @Test
  void whatIsTakenIsFinishedOnce() {
    push("a");
    Delivery taken = deliveries.take();
    assertTrue(deliveries.finish(taken));
    assertFalse(deliveries.finish(taken));
    assertEquals(0, deliveries.held());
  }

  @Test
  void leasesAreOfWhatWaitsAndWhatIsHandled() {
    push("a", "b", "c");
    deliveries.finish(deliveries.take());
    deliveries.take();
    assertEquals(List.of("c", "b"), deliveries.heldAckIds());
  }

  @Test
  void whatWaitsCanBeTakenBack() {
    push("a", "b", "c");
    deliveries.take();
    assertEquals(List.of("b", "c"), deliveries.drain());
    assertEquals(List.of("a"), deliveries.heldAckIds());
  }

  @Test
  void afterCloseWhatWaitsIsTakenAndNothingComes() {
    push("a");
    deliveries.close();
    push("b");
    assertEquals("a", deliveries.take().ackId());
    assertNull(deliveries.take());
  }

  @Test
  void whatIsDoubtfulDoesNotBegin() {
    push("a", "b");
    deliveries.doubtAfter(10);
    now += 9;
    assertEquals("a", deliveries.take().ackId());
    now += 1;
    deliveries.close();
    assertNull(deliveries.take());
    deliveries.keep();
    assertEquals("b", deliveries.take().ackId());
  }

  @Test
  void aSecondEndOfAStreamDoesNotPutTheDoubtOff() {
    push("a");
    deliveries.doubtAfter(10);
    now += 5;
    deliveries.doubtAfter(10);
    now += 5;
    deliveries.close();
    assertNull(deliveries.take());
  }

  @Test
  void whoWaitsIsWoken() throws Exception {
    CompletableFuture<Delivery> taken = CompletableFuture.supplyAsync(deliveries::take);
    push("a");
    assertEquals("a", taken.get(10, TimeUnit.SECONDS).ackId());
    CompletableFuture<Delivery> none = CompletableFuture.supplyAsync(deliveries::take);
    deliveries.close();
    assertNull(none.get(10, TimeUnit.SECONDS));
  }

  @Test
  void aHandlerIsToldOnceAndOnlyWhileItRuns() {
    push("a");
    Delivery delivery = deliveries.take();
    AtomicInteger calls = new AtomicInteger();
    assertFalse(delivery.cancel(false), "it has not begun");
    delivery.begin();
    delivery.onCancelled(calls::incrementAndGet);
    assertTrue(delivery.cancel(true));
    assertTrue(Thread.interrupted());
    assertFalse(delivery.cancel(true));
    assertTrue(delivery.isCancelled());
    delivery.onCancelled(calls::incrementAndGet);
    assertEquals(2, calls.get());
    assertTrue(delivery.end(), "its time was over");
    assertFalse(Thread.interrupted());
  }

  @Test
  void aHandlerThatHasReturnedIsNotTold() {
    push("a");
    Delivery delivery = deliveries.take();
    delivery.begin();
    assertFalse(delivery.end());
    assertFalse(delivery.cancel(true));
    assertFalse(Thread.interrupted());
  }
}
