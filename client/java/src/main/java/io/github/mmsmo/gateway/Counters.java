package io.github.mmsmo.gateway;

import java.util.concurrent.atomic.AtomicLong;

final class Counters {
  final AtomicLong failedAcks = new AtomicLong();
  final AtomicLong failedHandlers = new AtomicLong();
}
