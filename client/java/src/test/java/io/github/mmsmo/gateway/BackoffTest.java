package io.github.mmsmo.gateway;

import static org.junit.jupiter.api.Assertions.assertEquals;

import org.junit.jupiter.api.Test;

class BackoffTest {
  @Test
  void itsCeilingDoublesUpToTheLongest() {
    Backoff backoff = new Backoff(100, 350, () -> 1);
    assertEquals(100, backoff.next());
    assertEquals(200, backoff.next());
    assertEquals(350, backoff.next());
    assertEquals(350, backoff.next());
    backoff.reset();
    assertEquals(100, backoff.next());
  }

  @Test
  void itWaitsAnythingBelowItsCeiling() {
    assertEquals(0, new Backoff(100, 350, () -> 0).next());
    assertEquals(50, new Backoff(100, 350, () -> 0.5).next());
  }

  @Test
  void theLongestIsNotExceededAtFirst() {
    assertEquals(10, new Backoff(100, 10, () -> 1).next());
  }
}
