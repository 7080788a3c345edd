package io.github.mmsmo.gateway;

/** A run ended although handlers had not returned, long after they were told that time is up. */
public final class HandlersRunningException extends RuntimeException {
  private static final long serialVersionUID = 1;

  HandlersRunningException() {
    super("handlers have not returned");
  }
}
