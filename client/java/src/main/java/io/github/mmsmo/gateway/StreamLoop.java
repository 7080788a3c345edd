package io.github.mmsmo.gateway;

import io.grpc.Context;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.mmsmo.v1.SubscribeRequest;
import io.mmsmo.v1.SubscribeResponse;
import java.lang.System.Logger.Level;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;

/**
 * Reads streams of Subscribe, one after the other: one that fails, ends, or is silent for three
 * heartbeats is replaced, after a wait that grows from failure to failure.
 *
 * @param <E> what its sink may throw
 */
final class StreamLoop<E extends Exception> {
  /** What streams are for. Called by the loop's thread. */
  interface Sink<E extends Exception> {
    /** What the next stream begins with: its source, and what belongs to that. */
    SubscribeRequest.Builder nextRequest();

    /**
     * May take its time: a sink that is slow is not taken for a silent gateway.
     *
     * @throws E to end the loop
     */
    void onFrame(SubscribeResponse frame) throws E;

    void onStreamEnd();
  }

  private final Options options;
  private final Connection connection;
  private final Sink<E> sink;
  private final Context.CancellableContext context = Context.ROOT.withCancellation();
  private final CountDownLatch stopped = new CountDownLatch(1);

  // Of the stream that is read, or was read last.
  private boolean gotFrame;
  private boolean wasSilent;

  StreamLoop(Options options, Connection connection, Sink<E> sink) {
    this.options = options;
    this.connection = connection;
    this.sink = sink;
  }

  /** Lets {@link #run} return. Can be called by any thread, also before. */
  void stop() {
    stopped.countDown();
    context.cancel(null);
  }

  boolean isStopped() {
    return stopped.getCount() == 0;
  }

  /** What calls have that end with the loop. */
  Context context() {
    return context;
  }

  /**
   * Returns once it is stopped.
   *
   * @throws StatusRuntimeException where it makes no sense to try again
   * @throws E what the sink threw
   */
  void run() throws E, InterruptedException {
    Backoff backoff = options.newBackoff();
    while (!isStopped()) {
      String token = connection.token();
      StatusRuntimeException end = readStream();
      if (isStopped()) {
        return;
      }
      if (Errors.isFinal(end) && !hasNewToken(end, token)) {
        throw Errors.typed(end);
      }
      if (gotFrame) {
        backoff.reset();
      }
      // What nothing comes over would not carry the next stream either, and what has failed would
      // wait for a time of its own before it connects again.
      if (wasSilent || !connection.isReady()) {
        connection.renew();
      }
      onDisconnected(end);
      long wait = Errors.retryDelay(end) + backoff.next();
      if (stopped.await(wait, TimeUnit.NANOSECONDS)) {
        return;
      }
    }
  }

  private boolean hasNewToken(StatusRuntimeException end, String token) {
    return end.getStatus().getCode() == Status.Code.UNAUTHENTICATED
        && !connection.token().equals(token);
  }

  private void onDisconnected(StatusRuntimeException why) {
    options.logger.log(
        Level.WARNING, "the stream of {0} is replaced: {1}", options.target, why.getMessage());
    options.hooks.disconnected(why);
  }

  /** Returns why it has ended. */
  private StatusRuntimeException readStream() throws E, InterruptedException {
    gotFrame = false;
    wasSilent = false;
    StreamCall stream = new StreamCall(context, connection.channel(), nextRequest());
    try {
      long silence = Ticks.of(options.connectTimeout);
      while (true) {
        SubscribeResponse frame;
        try {
          frame = stream.next(silence);
        } catch (StatusRuntimeException e) {
          return e;
        }
        if (frame == null) {
          wasSilent = true;
          return Status.DEADLINE_EXCEEDED
              .withDescription("the gateway gave no sign of life")
              .asRuntimeException();
        }
        gotFrame = true;
        sink.onFrame(frame);
        if (frame.hasStarted()) {
          long heartbeat = Ticks.of(frame.getStarted().getHeartbeatInterval());
          silence = Defaults.SILENT_HEARTBEATS * heartbeat;
        }
        tell(frame);
      }
    } finally {
      stream.cancel();
      sink.onStreamEnd();
    }
  }

  private void tell(SubscribeResponse frame) {
    if (frame.hasStarted()) {
      options.hooks.connected();
    }
    if (frame.hasCaughtUp()) {
      options.hooks.caughtUp();
    }
  }

  private SubscribeRequest nextRequest() {
    SubscribeRequest.Builder request =
        sink.nextRequest().setMaxBatchSize(options.maxBatchSize).setClientId(options.clientId);
    if (!options.heartbeatInterval.isZero()) {
      request.setHeartbeatInterval(Ticks.toProto(Ticks.of(options.heartbeatInterval)));
    }
    return request.build();
  }
}
