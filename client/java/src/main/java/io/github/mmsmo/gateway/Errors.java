package io.github.mmsmo.gateway;

import com.google.protobuf.Any;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.protobuf.Message;
import com.google.rpc.ErrorInfo;
import com.google.rpc.RetryInfo;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.protobuf.StatusProto;

/** What the gateway's errors mean. */
final class Errors {
  // Whatever a gateway asks for.
  private static final long MAX_RETRY_DELAY = Ticks.ofMillis(60_000);

  static StatusRuntimeException unavailable(String why) {
    return Status.UNAVAILABLE.withDescription(why).asRuntimeException();
  }

  /** Whether it makes no sense to try again. */
  static boolean isFinal(StatusRuntimeException error) {
    switch (error.getStatus().getCode()) {
      case INVALID_ARGUMENT:
      case NOT_FOUND:
      case PERMISSION_DENIED:
      case UNAUTHENTICATED:
      case UNIMPLEMENTED:
      case FAILED_PRECONDITION:
      case OUT_OF_RANGE:
        return true;
      default:
        return false;
    }
  }

  /** How long the gateway asks to wait, in nanoseconds; 0 where it asks for nothing. */
  static long retryDelay(StatusRuntimeException error) {
    if (error.getStatus().getCode() != Status.Code.UNAVAILABLE) {
      return 0;
    }
    RetryInfo info = detail(error, RetryInfo.class, RetryInfo.getDefaultInstance());
    return Math.max(0, Math.min(Ticks.of(info.getRetryDelay()), MAX_RETRY_DELAY));
  }

  /** As what a user can ask for its contents. */
  static StatusRuntimeException typed(StatusRuntimeException error) {
    if (error.getStatus().getCode() == Status.Code.OUT_OF_RANGE) {
      ErrorInfo info = detail(error, ErrorInfo.class, ErrorInfo.getDefaultInstance());
      if (info.getReason().equals("CURSOR_EXPIRED")) {
        String earliest = info.getMetadataOrDefault("earliest_cursor", "");
        return new CursorExpiredException(error.getStatus(), earliest);
      }
    }
    return error;
  }

  private static <T extends Message> T detail(
      StatusRuntimeException error, Class<T> type, T absent) {
    com.google.rpc.Status status = StatusProto.fromThrowable(error);
    if (status != null) {
      for (Any detail : status.getDetailsList()) {
        if (detail.is(type)) {
          try {
            return detail.unpack(type);
          } catch (InvalidProtocolBufferException e) {
            return absent;
          }
        }
      }
    }
    return absent;
  }

  private Errors() {}
}
