package io.github.mmsmo.gateway;

import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Semaphore;

/** What handlers wait at. */
final class Gate implements Handler {
  final Semaphore begun = new Semaphore(0);
  private final CountDownLatch open = new CountDownLatch(1);

  void open() {
    open.countDown();
  }

  @Override
  public Verdict handle(Delivery delivery) throws InterruptedException {
    begun.release();
    open.await();
    return Verdict.ack();
  }
}
