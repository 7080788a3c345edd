package io.github.mmsmo.gateway;

/** An update that had no effect; {@code why} as {@link Hooks#ackFailed} has it. */
final class FailedUpdate {
  final String ackId;
  final String why;

  FailedUpdate(String ackId, String why) {
    this.ackId = ackId;
    this.why = why;
  }
}
