package io.github.mmsmo.gateway;

/** Handles the deliveries of a named subscription. */
@FunctionalInterface
public interface Handler {
  /**
   * Called for each delivery, by as many threads as {@link Subscriber.Builder#concurrency} says.
   * When the delivery's time is up, or a stop takes longer than it may, the thread is interrupted.
   * An event can come more than once: whoever has a lease that ended shares it with another.
   *
   * @return what becomes of it; null is a failure
   * @throws Exception of any kind: {@link Verdict#retry}, logged and counted
   */
  Verdict handle(Delivery delivery) throws Exception;
}
