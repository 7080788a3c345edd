package io.github.mmsmo.gateway;

import io.mmsmo.v1.Delivery;
import io.mmsmo.v1.Event;
import io.mmsmo.v1.StartPosition;
import io.mmsmo.v1.SubscribeRequest;
import io.mmsmo.v1.SubscribeResponse;
import java.time.Duration;

/** Hands events over, and remembers where it is. */
final class FollowRun<E extends Exception> implements StreamLoop.Sink<E>, Run {
  private final Options options;
  private final StartPosition start;
  private final EventHandler<E> handler;
  private final Connection connection;
  private final StreamLoop<E> loop;
  private final Timers timers = new Timers();
  private volatile String cursor = ""; // before the first frame

  private final Object lock = new Object();
  private Thread handling; // null: nothing
  private boolean isOver; // the time of a stop

  FollowRun(Options options, StartPosition start, EventHandler<E> handler) {
    this.options = options;
    this.start = start;
    this.handler = handler;
    connection = new Connection(options);
    loop = new StreamLoop<>(options, connection, this);
  }

  void run() throws E, InterruptedException {
    try {
      loop.run();
    } finally {
      close();
    }
  }

  @Override
  public void close() {
    timers.close();
    connection.close();
  }

  /** In either mode the handler that is running finishes, and no other begins. */
  @Override
  public void stop(StopMode mode, Duration timeout) {
    loop.stop();
    timers.after(Ticks.of(timeout), this::endHard);
  }

  private void endHard() {
    synchronized (lock) {
      isOver = true;
      if (handling != null) {
        handling.interrupt();
      }
    }
  }

  @Override
  public SubscribeRequest.Builder nextRequest() {
    StartPosition position = cursor.isEmpty() ? start : Start.afterCursor(cursor);
    return SubscribeRequest.newBuilder().setStartPosition(position).setFilter(options.filter);
  }

  @Override
  public void onFrame(SubscribeResponse frame) throws E {
    for (Delivery delivery : frame.getBatch().getDeliveriesList()) {
      if (loop.isStopped()) {
        return; // the rest of the frame is not handed over
      }
      handle(delivery.getEvent());
      cursor = delivery.getEvent().getCursor();
    }
    // Which filtered events may have moved on; but not beyond what a stop has left out.
    if (!loop.isStopped() && !frame.getCursor().isEmpty()) {
      cursor = frame.getCursor();
    }
  }

  private void handle(Event event) throws E {
    synchronized (lock) {
      handling = Thread.currentThread();
      if (isOver) {
        handling.interrupt();
      }
    }
    try {
      handler.handle(event);
    } finally {
      synchronized (lock) {
        handling = null;
        if (isOver) {
          Thread.interrupted(); // which was the handler's
        }
      }
    }
  }

  @Override
  public void onStreamEnd() {}

  @Override
  public String cursor() {
    return cursor;
  }

  @Override
  public int held() {
    return 0;
  }
}
