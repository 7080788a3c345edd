package io.github.mmsmo.gateway;

import io.mmsmo.v1.Event;
import java.util.ArrayList;
import java.util.List;

/** One hand-over of one event. */
public final class Delivery {
  private final io.mmsmo.v1.Delivery delivery;

  // Of the thread that handles it, while it does.
  private Thread thread;
  private boolean isCancelled;
  private boolean isOver; // its time, before its handler has returned
  private List<Runnable> onCancelled;

  Delivery(io.mmsmo.v1.Delivery delivery) {
    this.delivery = delivery;
  }

  public Event event() {
    return delivery.getEvent();
  }

  /** Counts deliveries, from 1. */
  public int attempt() {
    return delivery.getAttempt();
  }

  /** Names the delivery to the gateway, and in {@link Hooks#ackFailed}. */
  public String ackId() {
    return delivery.getAckId();
  }

  /**
   * Whether its handler is to end: its time is up, or the stop of the run takes longer than it may.
   * The handler's thread was interrupted, too.
   */
  public synchronized boolean isCancelled() {
    return isCancelled;
  }

  /**
   * Has {@code callback} run when the handler is to end, at once where that is so already, and
   * never after the handler has returned. It must not wait for anything, nor throw.
   */
  public void onCancelled(Runnable callback) {
    synchronized (this) {
      if (!isCancelled) {
        if (onCancelled == null) {
          onCancelled = new ArrayList<>();
        }
        onCancelled.add(callback);
        return;
      }
    }
    callback.run();
  }

  synchronized void begin() {
    thread = Thread.currentThread();
  }

  /** No interrupt comes from here after it. Returns whether the time was over. */
  synchronized boolean end() {
    thread = null;
    onCancelled = null;
    return isOver;
  }

  /** Tells the handler to end; returns false if it has returned, or was told before. */
  boolean cancel(boolean isOver) {
    List<Runnable> callbacks;
    synchronized (this) {
      if (thread == null || isCancelled) {
        return false;
      }
      isCancelled = true;
      this.isOver = isOver;
      thread.interrupt();
      callbacks = onCancelled;
    }
    if (callbacks != null) {
      callbacks.forEach(Runnable::run);
    }
    return true;
  }
}
