package io.github.mmsmo.gateway;

import io.grpc.ChannelCredentials;
import io.grpc.ManagedChannel;
import io.mmsmo.v1.Filter;
import io.mmsmo.v1.StartPosition;
import java.lang.System.Logger;
import java.time.Duration;
import java.util.Objects;

/**
 * Receives the events of a gateway, and goes on where it was after any failure.
 *
 * <p>Of a named subscription, whose position the gateway keeps:
 *
 * <pre>{@code
 * try (Subscriber subscriber = Subscriber.builder().target("localhost:9090").build()) {
 *   subscriber.run("billing", delivery -> {
 *     book(delivery.event());
 *     return Verdict.ack();
 *   });
 * }
 * }</pre>
 *
 * <p>Or from a position that the program keeps: {@code subscriber.follow(Start.earliest(), event ->
 * book(event))}.
 *
 * <p>One of these is called, once; everything else is for any thread.
 */
public final class Subscriber implements AutoCloseable {
  private final Options options;
  private final Counters counters = new Counters();
  private boolean isUsed;
  private boolean isStopped;
  private Run run; // while and after it runs

  private Subscriber(Options options) {
    this.options = options;
  }

  public static Builder builder() {
    return new Builder();
  }

  /**
   * Calls {@code handler} for each delivery of a named subscription, and tells the gateway what it
   * returns, in batches, again until that is answered. Leases are prolonged while a delivery waits
   * here or is handled. Streams are replaced, each resuming the one before, so that a lost
   * connection costs no delivery and no attempt. Returns after a stop.
   *
   * @throws InterruptedException if this thread was interrupted, which is a stop with {@link
   *     StopMode#RELEASE} and {@link Builder#stopTimeout}; a second interrupt interrupts the
   *     handlers, too
   * @throws io.grpc.StatusRuntimeException where it makes no sense to try again, with one of the
   *     codes INVALID_ARGUMENT, NOT_FOUND, PERMISSION_DENIED, UNIMPLEMENTED, FAILED_PRECONDITION,
   *     OUT_OF_RANGE, or UNAUTHENTICATED, unless there is another token by then
   * @throws HandlersRunningException if handlers had not returned two seconds after a stop's time
   * @throws IllegalStateException if this subscriber was used before
   */
  public void run(String subscription, Handler handler) throws InterruptedException {
    Objects.requireNonNull(handler);
    SubscriptionRun subscriptionRun =
        new SubscriptionRun(options, Objects.requireNonNull(subscription), handler, counters);
    if (begin(subscriptionRun)) {
      StopSignals signals = stopSignals();
      try {
        subscriptionRun.run();
      } finally {
        signals.close();
      }
    }
  }

  /**
   * Calls {@code handler} for each event from {@code start} on, by this thread. A stream that is
   * replaced begins after the last event that was handed over. Returns after a stop.
   *
   * @param start see {@link Start}
   * @throws E what the handler threw, as it throws what of its other exceptions is unchecked; then
   *     {@link #cursor} is before its event
   * @throws InterruptedException if this thread was interrupted between events
   * @throws CursorExpiredException if the position is no longer retained
   * @throws io.grpc.StatusRuntimeException as {@link #run}
   * @throws IllegalStateException if this subscriber was used before
   */
  public <E extends Exception> void follow(StartPosition start, EventHandler<E> handler)
      throws E, InterruptedException {
    Objects.requireNonNull(handler);
    FollowRun<E> followRun = new FollowRun<>(options, Objects.requireNonNull(start), handler);
    if (begin(followRun)) {
      StopSignals signals = stopSignals();
      try {
        followRun.run();
      } finally {
        signals.close();
      }
    }
  }

  private StopSignals stopSignals() {
    return new StopSignals(this, options.stopOnSignals, options.stopTimeout);
  }

  /** Returns false if it was stopped before. */
  private synchronized boolean begin(Run begun) {
    if (isUsed || isStopped) {
      begun.close();
    }
    if (isUsed) {
      throw new IllegalStateException("a Subscriber runs once");
    }
    isUsed = true;
    if (!isStopped) {
      run = begun;
    }
    return !isStopped;
  }

  /**
   * Lets the run end, and returns at once: nothing more begins that has not arrived, handlers
   * finish, what they say is acknowledged, and nothing is delivered twice because of it. After
   * {@code timeout} what was not begun is released, and handlers are interrupted; {@link #run}
   * returns at the latest two seconds later. It can be called again, to release what {@link
   * StopMode#FINISH} would handle, or for an earlier end. Before a run, the run ends as it begins.
   */
  public void stop(StopMode mode, Duration timeout) {
    Run running;
    synchronized (this) {
      isStopped = true;
      running = run;
    }
    if (running != null) {
      running.stop(mode, timeout);
    }
  }

  /** A stop with {@link StopMode#RELEASE} and {@link Builder#stopTimeout}. Returns at once. */
  @Override
  public void close() {
    stop(StopMode.RELEASE, options.stopTimeout);
  }

  /**
   * The position of what {@link #follow} has handed over: {@link Start#afterCursor} of it goes on
   * from here. Empty before the first frame, and with a named subscription.
   */
  public synchronized String cursor() {
    return run == null ? "" : run.cursor();
  }

  public synchronized Stats stats() {
    int held = run == null ? 0 : run.held();
    return new Stats(held, counters.failedAcks.get(), counters.failedHandlers.get());
  }

  /** Makes subscribers, and channels. All but {@link #target} may be left out. */
  public static final class Builder {
    private final Options options = new Options();

    private Builder() {}

    /** Where the gateway is: HOST:PORT or unix:PATH. */
    public Builder target(String target) {
      options.target = target;
      return this;
    }

    /**
     * Encrypts, unless these are {@link io.grpc.InsecureChannelCredentials}, the default. From
     * files, for TLS with a certificate of its own: {@code
     * TlsChannelCredentials.newBuilder().trustManager(ca).keyManager(certificate, key).build()}.
     */
    public Builder credentials(ChannelCredentials credentials) {
      options.credentials = Objects.requireNonNull(credentials);
      return this;
    }

    /** The name that the gateway's certificate must have; empty: the target's host. */
    public Builder serverName(String serverName) {
      options.serverName = serverName;
      return this;
    }

    /**
     * Shown with every call. Without encryption it goes to this machine only, unless {@link
     * #sendTokenUnencrypted}.
     */
    public Builder token(TokenSource token) {
      options.token = token;
      return this;
    }

    public Builder sendTokenUnencrypted(boolean sendTokenUnencrypted) {
      options.sendTokenUnencrypted = sendTokenUnencrypted;
      return this;
    }

    /** Which events; for {@link #follow} only, since a named subscription has its own. */
    public Builder filter(Filter filter) {
      options.filter = Objects.requireNonNull(filter);
      return this;
    }

    /** How many events a frame may have, 1 to 10,000; 0: the gateway's default. */
    public Builder maxBatchSize(int maxBatchSize) {
      options.maxBatchSize = maxBatchSize;
      return this;
    }

    /**
     * That of the gateway's sign of life, 0.1 s to 3600 s; 0: the gateway's default. After three of
     * them without a frame the connection is given up.
     */
    public Builder heartbeatInterval(Duration heartbeatInterval) {
      options.heartbeatInterval = heartbeatInterval;
      return this;
    }

    /** Names this program in the gateway's logs; at most 256 bytes. */
    public Builder clientId(String clientId) {
      options.clientId = clientId;
      return this;
    }

    /**
     * Between two attempts: full jitter below a ceiling that doubles from {@code min}, by default
     * 100 ms, to {@code max}, by default 10 s.
     */
    public Builder backoff(Duration min, Duration max) {
      options.minBackoff = min;
      options.maxBackoff = max;
      return this;
    }

    /** How long an attempt may take until its first frame; by default 10 s. */
    public Builder connectTimeout(Duration connectTimeout) {
      options.connectTimeout = connectTimeout;
      return this;
    }

    /** How many handlers of a named subscription run at once; by default 1, in order of arrival. */
    public Builder concurrency(int concurrency) {
      options.concurrency = concurrency;
      return this;
    }

    /**
     * How many deliveries of a named subscription the gateway may have under way to this program:
     * what waits here included. 0: the gateway's default.
     */
    public Builder maxOutstandingMessages(int maxOutstandingMessages) {
      options.maxOutstandingMessages = maxOutstandingMessages;
      return this;
    }

    /** Likewise, in bytes of events. */
    public Builder maxOutstandingBytes(long maxOutstandingBytes) {
      options.maxOutstandingBytes = maxOutstandingBytes;
      return this;
    }

    /**
     * How long a handler of a named subscription may take: then its delivery is a retry, its thread
     * is interrupted, and what it returns counts no more. 0: as long as it takes; its lease is
     * prolonged.
     */
    public Builder maxHandlerTime(Duration maxHandlerTime) {
      options.maxHandlerTime = maxHandlerTime;
      return this;
    }

    /** That of a stop that names none, and after a failure that is final; by default 10 s. */
    public Builder stopTimeout(Duration stopTimeout) {
      options.stopTimeout = stopTimeout;
      return this;
    }

    /**
     * Has SIGTERM and SIGINT stop the run: the first with {@link StopMode#FINISH}, the second with
     * {@link StopMode#RELEASE}, each with {@link #stopTimeout}; a third ends the process, as it
     * would without this.
     */
    public Builder stopOnSignals(boolean stopOnSignals) {
      options.stopOnSignals = stopOnSignals;
      return this;
    }

    /** Gets what goes wrong; by default that of the name {@code io.github.mmsmo.gateway}. */
    public Builder logger(Logger logger) {
      options.logger = Objects.requireNonNull(logger);
      return this;
    }

    /** Are told what happens. */
    public Builder hooks(Hooks hooks) {
      options.hooks = Objects.requireNonNull(hooks);
      return this;
    }

    /**
     * Makes a subscriber, which does nothing yet.
     *
     * @throws IllegalArgumentException that names the option that is wrong
     */
    public Subscriber build() {
      return new Subscriber(options.checked());
    }

    /**
     * A channel for the stubs in {@code io.mmsmo.v1}, with the target, encryption and token of this
     * builder. It does not wait for the gateway. The caller shuts it down.
     *
     * @throws IllegalArgumentException that names the option that is wrong
     */
    public ManagedChannel openChannel() {
      return Connection.builderFor(options.checked()).build();
    }
  }
}
