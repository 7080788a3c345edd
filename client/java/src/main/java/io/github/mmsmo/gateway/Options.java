package io.github.mmsmo.gateway;

import io.grpc.ChannelCredentials;
import io.grpc.InsecureChannelCredentials;
import io.mmsmo.v1.Filter;
import java.lang.System.Logger;
import java.time.Duration;

/** What {@link Subscriber.Builder} was told. Not changed once there is a subscriber. */
final class Options implements Cloneable {
  String target = "";
  ChannelCredentials credentials = InsecureChannelCredentials.create();
  String serverName = "";
  TokenSource token; // null: none
  boolean sendTokenUnencrypted;
  Filter filter = Filter.getDefaultInstance();
  int concurrency = Defaults.CONCURRENCY;
  int maxOutstandingMessages = Defaults.MAX_OUTSTANDING_MESSAGES;
  long maxOutstandingBytes = Defaults.MAX_OUTSTANDING_BYTES;
  int maxBatchSize = Defaults.MAX_BATCH_SIZE;
  Duration heartbeatInterval = Duration.ofMillis(Defaults.HEARTBEAT_INTERVAL_MS);
  Duration minBackoff = Duration.ofMillis(Defaults.MIN_BACKOFF_MS);
  Duration maxBackoff = Duration.ofMillis(Defaults.MAX_BACKOFF_MS);
  Duration connectTimeout = Duration.ofMillis(Defaults.CONNECT_TIMEOUT_MS);
  Duration maxHandlerTime = Duration.ofMillis(Defaults.MAX_HANDLER_TIME_MS);
  Duration stopTimeout = Duration.ofMillis(Defaults.STOP_TIMEOUT_MS);
  String clientId = "";
  Logger logger = System.getLogger("io.github.mmsmo.gateway");
  Hooks hooks = new Hooks() {};
  boolean stopOnSignals;

  Backoff newBackoff() {
    return new Backoff(Ticks.of(minBackoff), Ticks.of(maxBackoff), Math::random);
  }

  /** Throws IllegalArgumentException, which names the option. */
  Options checked() {
    if (target.isEmpty()) {
      throw new IllegalArgumentException("target: it is empty");
    }
    if (concurrency < 1) {
      throw new IllegalArgumentException("concurrency: it is below 1");
    }
    checkTime("heartbeatInterval", heartbeatInterval);
    checkTime("minBackoff", minBackoff);
    checkTime("maxBackoff", maxBackoff);
    checkTime("connectTimeout", connectTimeout);
    checkTime("maxHandlerTime", maxHandlerTime);
    checkTime("stopTimeout", stopTimeout);
    checkToken();
    Options copy = copy();
    copy.hooks = new GuardedHooks(hooks, logger);
    return copy;
  }

  private static void checkTime(String name, Duration time) {
    if (time.isNegative()) {
      throw new IllegalArgumentException(name + ": it is below 0");
    }
  }

  /** Refuses a token that others could read on its way. */
  private void checkToken() {
    boolean isEncrypted = !(credentials instanceof InsecureChannelCredentials);
    if (token != null && !isEncrypted && !sendTokenUnencrypted && !Target.isLocal(target)) {
      throw new IllegalArgumentException(
          "token: it would go to "
              + target
              + " without encryption, where others can read it; give credentials of TLS, or say"
              + " sendTokenUnencrypted");
    }
  }

  private Options copy() {
    try {
      return (Options) clone();
    } catch (CloneNotSupportedException e) {
      throw new AssertionError(e);
    }
  }
}
