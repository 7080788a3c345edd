package io.github.mmsmo.gateway;

import io.grpc.Context;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.stub.StreamObserver;
import io.mmsmo.v1.AckFailure;
import io.mmsmo.v1.AcknowledgeRequest;
import io.mmsmo.v1.AcknowledgeResponse;
import io.mmsmo.v1.MmsMoServiceGrpc;
import io.mmsmo.v1.ModifyAckDeadlineRequest;
import io.mmsmo.v1.ModifyAckDeadlineResponse;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Consumer;
import java.util.function.Function;
import java.util.function.Supplier;

/**
 * Tells the gateway what becomes of a subscription's deliveries, several calls at a time, and
 * prolongs the leases of those that are held. One thread makes the calls and takes the answers; the
 * methods are for several threads.
 */
final class Acknowledger {
  private final Connection connection;
  private final String subscription;
  private final Supplier<List<String>> heldAckIds;
  private final Consumer<List<FailedUpdate>> onFailed;
  private final Thread thread = new Thread(this::loop, "mmsmo-acknowledger");

  private final ReentrantLock lock = new ReentrantLock();
  private final Condition changed = lock.newCondition();
  private final Condition idle = lock.newCondition();
  private final Outbox outbox;
  private final List<Exchange<?>> answered = new ArrayList<>();
  private int underWay;
  private boolean isClosing;
  private long ackDeadline;
  private long extendAt = Ticks.NEVER;

  /** {@code onFailed} is called by the acknowledger's thread. */
  Acknowledger(
      Options options,
      Connection connection,
      String subscription,
      Supplier<List<String>> heldAckIds,
      Consumer<List<FailedUpdate>> onFailed) {
    this.connection = connection;
    this.subscription = subscription;
    this.heldAckIds = heldAckIds;
    this.onFailed = onFailed;
    outbox = new Outbox(options.newBackoff());
    thread.setDaemon(true);
  }

  void start() {
    thread.start();
  }

  /** Gives up what is not answered. Nothing is called back after it. */
  void close() {
    giveUp();
    boolean wasInterrupted = Thread.interrupted();
    while (thread.isAlive()) {
      try {
        thread.join();
      } catch (InterruptedException e) {
        wasInterrupted = true;
      }
    }
    if (wasInterrupted) {
      Thread.currentThread().interrupt();
    }
  }

  /** Lets {@link #flush} return. */
  void giveUp() {
    lock.lock();
    try {
      isClosing = true;
      changed.signal();
      idle.signalAll();
    } finally {
      lock.unlock();
    }
  }

  /** Done soon, and tried again until it is answered. */
  void add(Update update, String ackId) {
    long now = Ticks.now();
    lock.lock();
    try {
      if (outbox.add(update, ackId, now)) {
        changed.signal();
      }
    } finally {
      lock.unlock();
    }
  }

  /** Done at once. */
  void addAll(Update update, List<String> ackIds) {
    lock.lock();
    try {
      outbox.addAll(update, ackIds, Ticks.now());
      changed.signal();
    } finally {
      lock.unlock();
    }
  }

  /** Prolongs from now on what is held, three times in each ack deadline; 0: not. */
  void keepLeases(long ackDeadline) {
    lock.lock();
    try {
      this.ackDeadline = ackDeadline;
      // A stream that is replaced often must not put it off for ever.
      extendAt = ackDeadline > 0 ? Math.min(extendAt, nextExtension()) : Ticks.NEVER;
      changed.signal();
    } finally {
      lock.unlock();
    }
  }

  private long nextExtension() {
    return Ticks.now() + ackDeadline / Defaults.EXTENSIONS_PER_DEADLINE;
  }

  /**
   * Waits until everything is answered, or given up. Updates no longer wait for others to share a
   * call with.
   */
  void flush() {
    lock.lock();
    try {
      outbox.hurry(Ticks.now());
      changed.signal();
      while (!isIdle() && !isClosing) {
        idle.awaitUninterruptibly();
      }
    } finally {
      lock.unlock();
    }
  }

  private boolean isIdle() {
    return outbox.isEmpty() && underWay == 0;
  }

  private void loop() {
    lock.lock();
    try {
      while (!isClosing) {
        takeAnswers();
        sendWhatIsDue();
        if (isIdle()) {
          idle.signalAll();
        }
        long wait = untilNextTurn();
        if (wait > 0 && !isClosing) {
          changed.awaitNanos(wait);
        }
      }
    } catch (InterruptedException e) {
      throw new AssertionError("nobody has this thread to interrupt it", e);
    } finally {
      lock.unlock();
    }
  }

  /** In nanoseconds. */
  private long untilNextTurn() {
    if (!answered.isEmpty()) {
      return 0;
    }
    boolean hasRoom = underWay < Defaults.MAX_ACKS_UNDER_WAY;
    long next = Math.min(extendAt, hasRoom ? outbox.due() : Ticks.NEVER);
    return next == Ticks.NEVER ? Long.MAX_VALUE : next - Ticks.now();
  }

  private void takeAnswers() {
    List<Exchange<?>> answers = new ArrayList<>(answered);
    answered.clear();
    for (Exchange<?> answer : answers) {
      List<FailedUpdate> failed = answer.judge();
      if (!failed.isEmpty()) {
        lock.unlock();
        try {
          onFailed.accept(failed);
        } finally {
          lock.lock();
        }
      }
      --underWay; // after that, so that flush does not return before
    }
  }

  private void sendWhatIsDue() {
    long now = Ticks.now();
    boolean isToExtend = now >= extendAt;
    Update extension = Update.extendBy(ackDeadline);
    if (isToExtend) {
      extendAt = nextExtension();
    }
    List<UpdateCall> calls = new ArrayList<>();
    while (underWay < Defaults.MAX_ACKS_UNDER_WAY) {
      UpdateCall call = outbox.take(now);
      if (call == null) {
        break;
      }
      calls.add(call);
      ++underWay;
    }
    lock.unlock();
    try {
      if (isToExtend) {
        prolongLeases(extension);
      }
      calls.forEach(this::send);
    } finally {
      lock.lock();
    }
  }

  /**
   * Beside the limit of calls under way: leases do not wait until a slow gateway has answered. Nor
   * is it tried again: the next round prolongs whatever is still here.
   */
  private void prolongLeases(Update update) {
    List<String> held = heldAckIds.get();
    for (int begin = 0; begin < held.size(); begin += Defaults.MAX_ACK_IDS) {
      int end = Math.min(held.size(), begin + Defaults.MAX_ACK_IDS);
      ModifyAckDeadlineRequest.Builder request =
          update.toRequest().setSubscription(subscription).addAllAckIds(held.subList(begin, end));
      stub().modifyAckDeadline(request.build(), new Ignored());
    }
  }

  private void send(UpdateCall call) {
    if (call.update.kind == Update.Kind.ACK) {
      AcknowledgeRequest.Builder request =
          AcknowledgeRequest.newBuilder().setSubscription(subscription).addAllAckIds(call.ackIds);
      stub()
          .acknowledge(request.build(), new Exchange<>(call, AcknowledgeResponse::getFailuresList));
    } else {
      ModifyAckDeadlineRequest.Builder request =
          call.update.toRequest().setSubscription(subscription).addAllAckIds(call.ackIds);
      stub()
          .modifyAckDeadline(
              request.build(), new Exchange<>(call, ModifyAckDeadlineResponse::getFailuresList));
    }
  }

  private MmsMoServiceGrpc.MmsMoServiceStub stub() {
    return MmsMoServiceGrpc.newStub(connection.channel())
        .withDeadlineAfter(Defaults.ACK_CALL_TIMEOUT_MS, TimeUnit.MILLISECONDS);
  }

  /**
   * Makes one call, and waits, that says that nothing more is to come on a stream. The end of
   * {@code context} ends it.
   *
   * @throws StatusRuntimeException if it failed
   */
  void leave(Context context, String streamId, long receivedFrames) {
    ModifyAckDeadlineRequest.Builder request =
        Update.RELEASE
            .toRequest()
            .setSubscription(subscription)
            .setStreamId(streamId)
            .setReceivedFrames(receivedFrames);
    context.run(
        () ->
            MmsMoServiceGrpc.newBlockingStub(connection.channel())
                .withDeadlineAfter(Defaults.ACK_CALL_TIMEOUT_MS, TimeUnit.MILLISECONDS)
                .modifyAckDeadline(request.build()));
  }

  /** A call, and what it was answered. */
  private final class Exchange<A> implements StreamObserver<A> {
    private final UpdateCall call;
    private final Function<A, List<AckFailure>> failuresOf;
    private final String token = connection.token();
    private List<AckFailure> failures = List.of();
    private StatusRuntimeException error; // null: none

    Exchange(UpdateCall call, Function<A, List<AckFailure>> failuresOf) {
      this.call = call;
      this.failuresOf = failuresOf;
    }

    @Override
    public void onNext(A answer) {
      failures = failuresOf.apply(answer);
    }

    @Override
    public void onError(Throwable thrown) {
      error = Status.fromThrowable(thrown).asRuntimeException(Status.trailersFromThrowable(thrown));
      onCompleted();
    }

    @Override
    public void onCompleted() {
      lock.lock();
      try {
        answered.add(this);
        changed.signal();
      } finally {
        lock.unlock();
      }
    }

    List<FailedUpdate> judge() {
      long now = Ticks.now();
      if (error == null) {
        return outbox.onAnswer(call, failures, now);
      }
      boolean isUnauthenticated = error.getStatus().getCode() == Status.Code.UNAUTHENTICATED;
      if (isUnauthenticated && !connection.token().equals(token)) {
        error = Errors.unavailable("there is another token now");
      }
      return outbox.onError(call, error, now);
    }
  }

  private static final class Ignored implements StreamObserver<ModifyAckDeadlineResponse> {
    @Override
    public void onNext(ModifyAckDeadlineResponse answer) {}

    @Override
    public void onError(Throwable thrown) {}

    @Override
    public void onCompleted() {}
  }
}
