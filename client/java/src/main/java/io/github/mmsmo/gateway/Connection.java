package io.github.mmsmo.gateway;

import io.grpc.ConnectivityState;
import io.grpc.Grpc;
import io.grpc.ManagedChannel;
import io.grpc.ManagedChannelBuilder;
import java.util.concurrent.TimeUnit;

/** The channel that a run has at the moment. For several threads. */
final class Connection {
  private static final int KEEPALIVE_TIMEOUT_MS = 20_000;

  private final Options options;
  private ManagedChannel channel;
  private boolean isClosed;

  Connection(Options options) {
    this.options = options;
    channel = open();
  }

  static ManagedChannelBuilder<?> builderFor(Options options) {
    ManagedChannelBuilder<?> builder =
        Grpc.newChannelBuilder(options.target, options.credentials)
            // Bodies and events are as large as the gateway lets in.
            .maxInboundMessageSize(Integer.MAX_VALUE)
            .keepAliveTime(Defaults.KEEPALIVE_TIME_MS, TimeUnit.MILLISECONDS)
            .keepAliveTimeout(KEEPALIVE_TIMEOUT_MS, TimeUnit.MILLISECONDS)
            .disableServiceConfigLookUp()
            .disableRetry();
    if (!options.serverName.isEmpty()) {
      builder.overrideAuthority(options.serverName);
    }
    if (options.token != null) {
      builder.intercept(new TokenInterceptor(options.token));
    }
    if (Target.isLocal(options.target)) {
      builder.proxyDetector(address -> null);
    }
    return builder;
  }

  private ManagedChannel open() {
    // Nothing that is called back here waits.
    return builderFor(options).directExecutor().build();
  }

  synchronized ManagedChannel channel() {
    return channel;
  }

  synchronized boolean isReady() {
    return channel.getState(false) == ConnectivityState.READY;
  }

  /** Gives up the connection, with the calls that wait on it. */
  void renew() {
    ManagedChannel old;
    synchronized (this) {
      if (isClosed) {
        return;
      }
      old = channel;
      channel = open();
    }
    old.shutdownNow();
  }

  synchronized void close() {
    isClosed = true;
    channel.shutdownNow();
  }

  /** What a call would show now; empty where there is none. */
  String token() {
    try {
      return options.token == null ? "" : options.token.get();
    } catch (Exception e) {
      return "";
    }
  }
}
