package io.github.mmsmo.gateway;

import io.grpc.Status;
import io.grpc.StatusRuntimeException;

/** A position is no longer retained: what the gateway answered, with code OUT_OF_RANGE. */
public final class CursorExpiredException extends StatusRuntimeException {
  private static final long serialVersionUID = 1;

  private final String earliestCursor;

  CursorExpiredException(Status status, String earliestCursor) {
    super(status.augmentDescription("the earliest cursor is " + earliestCursor));
    this.earliestCursor = earliestCursor;
  }

  /**
   * The position before the oldest event that is retained: {@link Start#afterCursor} of it goes on
   * with that.
   */
  public String earliestCursor() {
    return earliestCursor;
  }
}
