package io.github.mmsmo.gateway;

import io.mmsmo.v1.Event;

/**
 * Handles the events of {@link Subscriber#follow}.
 *
 * @param <E> what it may throw
 */
@FunctionalInterface
public interface EventHandler<E extends Exception> {
  /**
   * Called for each event, in order, by the thread that follows.
   *
   * @throws E to end that, with the position before this event
   */
  void handle(Event event) throws E;
}
