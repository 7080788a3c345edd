package io.github.mmsmo.gateway;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.LongSupplier;

/**
 * What this program holds: the deliveries that wait for a handler, and those in one. For several
 * threads.
 */
final class Deliveries {
  private final LongSupplier now;
  private final ReentrantLock lock = new ReentrantLock();
  private final Condition changed = lock.newCondition();
  private final Deque<Delivery> waiting = new ArrayDeque<>();
  private final Set<Delivery> handling = new HashSet<>();
  private int takers; // that wait
  private boolean closed;
  private long doubtAt = Ticks.NEVER;

  Deliveries(LongSupplier now) {
    this.now = now;
  }

  /** Takes a frame as a whole, with one wake-up; nothing of it after {@link #close}. */
  void push(List<io.mmsmo.v1.Delivery> frame) {
    lock.lock();
    try {
      if (closed) {
        return;
      }
      for (io.mmsmo.v1.Delivery delivery : frame) {
        waiting.add(new Delivery(delivery));
      }
      if (takers > 0) {
        changed.signalAll();
      }
    } finally {
      lock.unlock();
    }
  }

  /** The next that may begin, once there is one; null after {@link #close}, when there is none. */
  Delivery take() {
    lock.lock();
    try {
      while (waiting.isEmpty() || isDoubtful()) {
        if (closed) {
          return null;
        }
        ++takers;
        changed.awaitUninterruptibly();
        --takers;
      }
      Delivery taken = waiting.poll();
      handling.add(taken);
      return taken;
    } finally {
      lock.unlock();
    }
  }

  /** Returns whether what was taken was still held; it is not any more. */
  boolean finish(Delivery taken) {
    lock.lock();
    try {
      return handling.remove(taken);
    } finally {
      lock.unlock();
    }
  }

  /** Forgets what waits, and returns its ack ids. */
  List<String> drain() {
    lock.lock();
    try {
      List<String> ackIds = ackIdsOf(waiting);
      waiting.clear();
      doubtAt = Ticks.NEVER;
      return ackIds;
    } finally {
      lock.unlock();
    }
  }

  /**
   * For the end of a stream: unless {@link #keep} is called before, nothing of what waits begins
   * after that time, since the gateway may have given it to others.
   */
  void doubtAfter(long wait) {
    lock.lock();
    try {
      doubtAt = Math.min(doubtAt, now.getAsLong() + wait);
    } finally {
      lock.unlock();
    }
  }

  /** For a stream that has resumed the one before: what waits is this program's. */
  void keep() {
    lock.lock();
    try {
      doubtAt = Ticks.NEVER;
      changed.signalAll();
    } finally {
      lock.unlock();
    }
  }

  /** Nothing more is pushed; what waits can still be taken. */
  void close() {
    lock.lock();
    try {
      closed = true;
      changed.signalAll();
    } finally {
      lock.unlock();
    }
  }

  int held() {
    lock.lock();
    try {
      return waiting.size() + handling.size();
    } finally {
      lock.unlock();
    }
  }

  /** What is in a handler. */
  List<Delivery> handling() {
    lock.lock();
    try {
      return new ArrayList<>(handling);
    } finally {
      lock.unlock();
    }
  }

  List<String> heldAckIds() {
    lock.lock();
    try {
      List<String> ackIds = ackIdsOf(waiting);
      ackIds.addAll(ackIdsOf(handling));
      return ackIds;
    } finally {
      lock.unlock();
    }
  }

  private static List<String> ackIdsOf(Iterable<Delivery> deliveries) {
    List<String> ackIds = new ArrayList<>();
    for (Delivery delivery : deliveries) {
      ackIds.add(delivery.ackId());
    }
    return ackIds;
  }

  private boolean isDoubtful() {
    return doubtAt != Ticks.NEVER && now.getAsLong() >= doubtAt;
  }
}
