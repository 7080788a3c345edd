package io.github.mmsmo.gateway;

import io.grpc.StatusRuntimeException;
import io.mmsmo.v1.Started;
import io.mmsmo.v1.SubscribeRequest;
import io.mmsmo.v1.SubscribeResponse;
import java.lang.System.Logger.Level;
import java.text.MessageFormat;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.BooleanSupplier;
import java.util.function.Consumer;

/**
 * One {@link Subscriber#run}: from the stream to the handlers, and from what they say to the
 * gateway.
 */
final class SubscriptionRun implements StreamLoop.Sink<RuntimeException>, Run {
  // How long handlers have to return once they are told, and what they said to be answered.
  private static final long WIND_DOWN = Ticks.ofMillis(2_000);

  private final Options options;
  private final String subscription;
  private final Handler handler;
  private final Counters counters;
  private final long maxHandlerTime;
  private final Connection connection;
  private final Deliveries deliveries = new Deliveries(Ticks::now);
  private final Acknowledger acks;
  private final StreamLoop<RuntimeException> loop;
  private final Timers timers = new Timers();

  private final ReentrantLock lock = new ReentrantLock();
  private final Condition changed = lock.newCondition();
  // Of the stream that is read, or was read last: what the next one resumes.
  private String streamId = "";
  private long frames; // that arrived of it
  private boolean isOpening; // its successor, which may have begun
  private boolean isLeaving; // later frames do not count
  private String leftId = "";
  // What has not returned.
  private int handlers;
  private boolean saysGoodbye;
  private boolean isLoopDone; // with loopFailure
  private Throwable loopFailure; // null: none
  private volatile boolean isOver; // the time of a stop
  private boolean hasGivenUp;
  private int interrupts; // of run's thread

  SubscriptionRun(Options options, String subscription, Handler handler, Counters counters) {
    this.options = options;
    this.subscription = subscription;
    this.handler = handler;
    this.counters = counters;
    maxHandlerTime = Ticks.of(options.maxHandlerTime);
    handlers = options.concurrency;
    connection = new Connection(options);
    loop = new StreamLoop<>(options, connection, this);
    acks =
        new Acknowledger(
            options, connection, subscription, deliveries::heldAckIds, this::onAcksFailed);
  }

  @Override
  public void close() {
    timers.close();
    loop.stop();
    acks.close();
    connection.close();
  }

  /** Called once. */
  void run() throws InterruptedException {
    try {
      acks.start();
      begin("mmsmo-stream", this::readStreams);
      for (int i = 0; i < options.concurrency; ++i) {
        begin("mmsmo-handler-" + i, this::handleDeliveries);
      }
      boolean haveReturned = await(() -> handlers == 0, () -> hasGivenUp);
      releaseWaiting(); // what was too doubtful to begin
      // The stream stays open until everything is answered, because its end would take the leases
      // away.
      acks.flush();
      await(this::hasLeft, () -> hasGivenUp);
      update(loop::stop);
      await(() -> isLoopDone && !saysGoodbye, () -> false);
      throwFailure(haveReturned);
    } finally {
      close();
    }
  }

  private void throwFailure(boolean haveReturned) throws InterruptedException {
    if (loopFailure instanceof RuntimeException) {
      throw (RuntimeException) loopFailure;
    }
    if (loopFailure instanceof Error) {
      throw (Error) loopFailure;
    }
    if (interrupts > 0) {
      throw new InterruptedException();
    }
    if (!haveReturned) {
      throw new HandlersRunningException();
    }
  }

  private static void begin(String name, Runnable task) {
    Thread thread = new Thread(task, name);
    thread.setDaemon(true);
    thread.start();
  }

  private void readStreams() {
    Throwable failure = null;
    try {
      loop.run();
    } catch (InterruptedException | RuntimeException | Error e) {
      failure = e;
    }
    stop(StopMode.RELEASE, options.stopTimeout);
    Throwable end = failure;
    update(
        () -> {
          isLoopDone = true;
          loopFailure = end;
        });
  }

  @Override
  public void stop(StopMode mode, Duration timeout) {
    beginLeaving();
    if (mode == StopMode.RELEASE) {
      releaseWaiting();
    }
    timers.after(Ticks.of(timeout), this::endHard);
  }

  private void endHard() {
    releaseWaiting();
    timers.after(WIND_DOWN, this::giveUp);
    isOver = true;
    deliveries.handling().forEach(delivery -> delivery.cancel(false));
  }

  private void giveUp() {
    update(() -> hasGivenUp = true);
    acks.giveUp();
  }

  private void beginLeaving() {
    lock.lock();
    try {
      if (isLeaving) {
        return;
      }
      isLeaving = true;
      saysGoodbye = true;
      deliveries.close();
      changed.signalAll();
    } finally {
      lock.unlock();
    }
    begin("mmsmo-leave", this::leaveStreams);
  }

  private void releaseWaiting() {
    acks.addAll(Update.RELEASE, deliveries.drain());
  }

  /** Tells the gateway that nothing more is to come on the stream, nor on those that replace it. */
  private void leaveStreams() {
    Backoff backoff = options.newBackoff();
    while (await(() -> !streamId.equals(leftId), loop::isStopped)) {
      long wait = leave(backoff);
      if (wait > 0) {
        sleepUnlessStopped(wait);
      }
    }
    update(() -> saysGoodbye = false);
  }

  /** Returns how long to wait before it is tried again; 0: it is done. */
  private long leave(Backoff backoff) {
    String id;
    long received;
    lock.lock();
    try {
      id = streamId;
      received = frames;
    } finally {
      lock.unlock();
    }
    try {
      acks.leave(loop.context(), id, received);
    } catch (StatusRuntimeException e) {
      if (!Errors.isFinal(e)) {
        return 1 + Errors.retryDelay(e) + backoff.next();
      }
    }
    update(() -> leftId = id);
    backoff.reset();
    return 0;
  }

  /**
   * Whether nothing is on its way. A stream that is being opened may have begun, if there is a
   * connection.
   */
  private boolean hasLeft() {
    return isLoopDone || (leftId.equals(streamId) && !(isOpening && connection.isReady()));
  }

  @Override
  public SubscribeRequest.Builder nextRequest() {
    SubscribeRequest.Builder request =
        SubscribeRequest.newBuilder()
            .setSubscription(subscription)
            .setMaxOutstandingMessages(options.maxOutstandingMessages)
            .setMaxOutstandingBytes(options.maxOutstandingBytes);
    update(
        () -> {
          isOpening = true;
          if (!streamId.isEmpty()) {
            request.setResumeStreamId(streamId).setReceivedFrames(frames);
          }
        });
    return request;
  }

  @Override
  public void onFrame(SubscribeResponse frame) {
    if (frame.hasStarted()) {
      onStarted(frame.getStarted());
      return;
    }
    lock.lock();
    try {
      if (!isLeaving) {
        ++frames;
        deliveries.push(frame.getBatch().getDeliveriesList());
      }
    } finally {
      lock.unlock();
    }
  }

  private void onStarted(Started started) {
    update(
        () -> {
          isOpening = false;
          streamId = started.getStreamId();
          frames = 1;
        });
    if (started.getResumed()) {
      deliveries.keep();
    } else {
      deliveries.drain();
    }
    acks.keepLeases(Ticks.of(started.getAckDeadline()));
  }

  /**
   * What waits here is still this program's, but for a short time only, unless the next stream
   * resumes this one.
   */
  @Override
  public void onStreamEnd() {
    update(() -> isOpening = false);
    deliveries.doubtAfter(Ticks.ofMillis(Defaults.RESUME_WINDOW_MS));
  }

  private void handleDeliveries() {
    Delivery delivery;
    while ((delivery = deliveries.take()) != null) {
      finish(delivery, handle(delivery));
    }
    update(() -> --handlers);
  }

  /** What the handler says within its time. */
  private Verdict handle(Delivery delivery) {
    delivery.begin();
    if (isOver) {
      delivery.cancel(false);
    }
    Runnable callOff =
        maxHandlerTime > 0 ? timers.after(maxHandlerTime, () -> onTimeIsUp(delivery)) : null;
    Verdict verdict = call(delivery);
    boolean wasOver = delivery.end();
    Thread.interrupted(); // what the next handler would find
    if (callOff != null) {
      callOff.run();
    }
    return wasOver ? timeIsUp() : verdict;
  }

  /** A handler that does not heed it keeps its place, but not its delivery. */
  private void onTimeIsUp(Delivery delivery) {
    if (delivery.cancel(true)) {
      finish(delivery, timeIsUp());
    }
  }

  private static Verdict timeIsUp() {
    return Verdict.failed(new TimeoutException("the handler is over its time"));
  }

  private Verdict call(Delivery delivery) {
    Consumer<Verdict> done = options.hooks.handling(delivery);
    Verdict verdict;
    try {
      verdict = handler.handle(delivery);
      if (verdict == null) {
        verdict = Verdict.failed(new NullPointerException("the handler returned null"));
      }
    } catch (Throwable thrown) { // of any kind: it is one delivery's
      verdict = Verdict.failed(thrown);
    }
    done.accept(verdict);
    return verdict;
  }

  /** Counts only once for a delivery. */
  private void finish(Delivery delivery, Verdict verdict) {
    if (!deliveries.finish(delivery)) {
      return;
    }
    if (verdict.failure() != null) {
      onHandlerFailed(delivery, verdict.failure());
    }
    acks.add(verdict.update(), delivery.ackId());
  }

  private void onHandlerFailed(Delivery delivery, Throwable failure) {
    counters.failedHandlers.incrementAndGet();
    String text =
        MessageFormat.format(
            "a handler of {0} failed at {1}, attempt {2}; its event is delivered again",
            subscription, delivery.event().getMmsMo().getTrackingId(), delivery.attempt());
    options.logger.log(Level.ERROR, text, failure);
  }

  private void onAcksFailed(List<FailedUpdate> failed) {
    counters.failedAcks.addAndGet(failed.size());
    options.logger.log(
        Level.WARNING,
        "{0} acknowledgements of {1} had no effect, first {2}: {3}",
        failed.size(),
        subscription,
        failed.get(0).ackId,
        failed.get(0).why);
    failed.forEach(update -> options.hooks.ackFailed(update.ackId, update.why));
  }

  @Override
  public String cursor() {
    return "";
  }

  @Override
  public int held() {
    return deliveries.held();
  }

  /** Changes what {@link #await} waits for. */
  private void update(Runnable change) {
    lock.lock();
    try {
      change.run();
      changed.signalAll();
    } finally {
      lock.unlock();
    }
  }

  /** Returns whether {@code done} came true before {@code unless}; both with the lock held. */
  private boolean await(BooleanSupplier done, BooleanSupplier unless) {
    lock.lock();
    try {
      while (!unless.getAsBoolean()) {
        if (done.getAsBoolean()) {
          return true;
        }
        try {
          changed.await();
        } catch (InterruptedException e) {
          onInterrupt();
        }
      }
      return false;
    } finally {
      lock.unlock();
    }
  }

  /** The first is a stop, the second an end to patience. */
  private void onInterrupt() {
    ++interrupts;
    stop(StopMode.RELEASE, interrupts == 1 ? options.stopTimeout : Duration.ZERO);
  }

  private void sleepUnlessStopped(long nanos) {
    long end = Ticks.now() + nanos;
    lock.lock();
    try {
      for (long left = nanos; left > 0 && !loop.isStopped(); left = end - Ticks.now()) {
        changed.await(left, TimeUnit.NANOSECONDS);
      }
    } catch (InterruptedException e) {
      // Nobody has this thread to interrupt it.
    } finally {
      lock.unlock();
    }
  }
}
