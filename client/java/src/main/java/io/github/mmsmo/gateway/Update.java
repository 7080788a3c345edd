package io.github.mmsmo.gateway;

import com.google.protobuf.Empty;
import io.mmsmo.v1.ModifyAckDeadlineRequest;
import java.util.Objects;

/** One change of a delivery's state; deliveries of equal updates share a call. */
final class Update {
  enum Kind {
    ACK,
    EXTEND,
    /** By the subscription's backoff. */
    RETRY,
    /** After a time. */
    REDELIVER,
    /** It was not begun. */
    RELEASE,
    DEAD_LETTER
  }

  static final Update ACK = new Update(Kind.ACK, 0, "");
  static final Update RETRY = new Update(Kind.RETRY, 0, "");
  static final Update RELEASE = new Update(Kind.RELEASE, 0, "");

  final Kind kind;
  private final long nanos; // of EXTEND and REDELIVER
  private final String reason; // of DEAD_LETTER

  private Update(Kind kind, long nanos, String reason) {
    this.kind = kind;
    this.nanos = nanos;
    this.reason = reason;
  }

  static Update extendBy(long nanos) {
    return new Update(Kind.EXTEND, nanos, "");
  }

  static Update redeliverAfter(long nanos) {
    return new Update(Kind.REDELIVER, nanos, "");
  }

  static Update deadLetter(String reason) {
    return new Update(Kind.DEAD_LETTER, 0, reason);
  }

  /** That another update had no effect harms nobody, since its event is delivered again anyway. */
  boolean isReported() {
    return kind == Kind.ACK || kind == Kind.DEAD_LETTER;
  }

  /** Of every update but an acknowledgement, which has a method of its own. */
  ModifyAckDeadlineRequest.Builder toRequest() {
    ModifyAckDeadlineRequest.Builder request = ModifyAckDeadlineRequest.newBuilder();
    switch (kind) {
      case EXTEND:
        return request.setExtendBy(Ticks.toProto(nanos));
      case REDELIVER:
        return request.setRedeliverAfter(Ticks.toProto(nanos));
      case RETRY:
        return request.setRetry(Empty.getDefaultInstance());
      case RELEASE:
        return request.setRelease(Empty.getDefaultInstance());
      case DEAD_LETTER:
        return request.setDeadLetterReason(reason);
      case ACK:
        break;
    }
    throw new AssertionError(kind);
  }

  @Override
  public boolean equals(Object other) {
    if (!(other instanceof Update)) {
      return false;
    }
    Update that = (Update) other;
    return kind == that.kind && nanos == that.nanos && reason.equals(that.reason);
  }

  @Override
  public int hashCode() {
    return Objects.hash(kind, nanos, reason);
  }
}
