package io.github.mmsmo.gateway;

import com.google.protobuf.Timestamp;
import io.mmsmo.v1.Boundary;
import io.mmsmo.v1.StartPosition;
import java.time.Instant;

/** Where {@link Subscriber#follow} can begin. */
public final class Start {
  /** With the oldest event that the gateway still has. */
  public static StartPosition earliest() {
    return StartPosition.newBuilder().setBoundary(Boundary.BOUNDARY_EARLIEST).build();
  }

  /** With what arrives from now on. */
  public static StartPosition latest() {
    return StartPosition.newBuilder().setBoundary(Boundary.BOUNDARY_LATEST).build();
  }

  /** With what follows an event, or the position that {@link Subscriber#cursor} gave. */
  public static StartPosition afterCursor(String cursor) {
    return StartPosition.newBuilder().setAfterCursor(cursor).build();
  }

  /** With the first event that the gateway accepted at or after {@code time}. */
  public static StartPosition at(Instant time) {
    Timestamp.Builder timestamp =
        Timestamp.newBuilder().setSeconds(time.getEpochSecond()).setNanos(time.getNano());
    return StartPosition.newBuilder().setAcceptTime(timestamp).build();
  }

  private Start() {}
}
