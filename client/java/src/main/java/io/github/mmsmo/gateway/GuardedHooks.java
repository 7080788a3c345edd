package io.github.mmsmo.gateway;

import io.grpc.StatusRuntimeException;
import java.lang.System.Logger;
import java.lang.System.Logger.Level;
import java.util.function.Consumer;

/** Hooks whose failures, of any kind, are logged, and nothing else. */
final class GuardedHooks implements Hooks {
  private final Hooks hooks;
  private final Logger logger;

  GuardedHooks(Hooks hooks, Logger logger) {
    this.hooks = hooks;
    this.logger = logger;
  }

  @Override
  public void connected() {
    guard(hooks::connected);
  }

  @Override
  public void disconnected(StatusRuntimeException why) {
    guard(() -> hooks.disconnected(why));
  }

  @Override
  public void caughtUp() {
    guard(hooks::caughtUp);
  }

  @Override
  public void ackFailed(String ackId, String why) {
    guard(() -> hooks.ackFailed(ackId, why));
  }

  @Override
  public Consumer<Verdict> handling(Delivery delivery) {
    try {
      Consumer<Verdict> done = hooks.handling(delivery);
      return verdict -> guard(() -> done.accept(verdict));
    } catch (RuntimeException | Error e) {
      onFailed(e);
      return verdict -> {};
    }
  }

  private void guard(Runnable hook) {
    try {
      hook.run();
    } catch (RuntimeException | Error e) {
      onFailed(e);
    }
  }

  private void onFailed(Throwable failure) {
    logger.log(Level.ERROR, "a hook failed", failure);
  }
}
