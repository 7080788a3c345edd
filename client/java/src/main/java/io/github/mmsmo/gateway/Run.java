package io.github.mmsmo.gateway;

import java.time.Duration;

/** What a {@link Subscriber} does once. */
interface Run {
  /** Can be called again; each is a step further. */
  void stop(StopMode mode, Duration timeout);

  /** Ends what has not run. */
  void close();

  String cursor();

  int held();
}
