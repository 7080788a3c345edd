package io.github.mmsmo.gateway;

import java.util.concurrent.Future;
import java.util.concurrent.ScheduledThreadPoolExecutor;
import java.util.concurrent.TimeUnit;

/** Does what is to be done later, by a thread of its own, which there is only if it is used. */
final class Timers {
  private final ScheduledThreadPoolExecutor executor;

  Timers() {
    executor =
        new ScheduledThreadPoolExecutor(
            1,
            task -> {
              Thread thread = new Thread(task, "mmsmo-timer");
              thread.setDaemon(true);
              return thread;
            },
            (task, closed) -> {}); // what comes after close is too late
    executor.setRemoveOnCancelPolicy(true);
    executor.setExecuteExistingDelayedTasksAfterShutdownPolicy(false);
  }

  /** In nanoseconds. What it returns calls it off. */
  Runnable after(long wait, Runnable task) {
    Future<?> timer = executor.schedule(task, wait, TimeUnit.NANOSECONDS);
    return () -> timer.cancel(false);
  }

  void close() {
    executor.shutdown();
  }
}
