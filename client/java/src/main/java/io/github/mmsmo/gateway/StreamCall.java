package io.github.mmsmo.gateway;

import io.grpc.CallOptions;
import io.grpc.Channel;
import io.grpc.ClientCall;
import io.grpc.Context;
import io.grpc.Metadata;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.mmsmo.v1.MmsMoServiceGrpc;
import io.mmsmo.v1.SubscribeRequest;
import io.mmsmo.v1.SubscribeResponse;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;

/** One stream of Subscribe, which one thread reads. */
final class StreamCall {
  // One to handle, and one that is there when that is done.
  private static final int FRAMES_AT_ONCE = 2;

  private final ClientCall<SubscribeRequest, SubscribeResponse> call;
  // Frames, and at last a StatusRuntimeException.
  private final BlockingQueue<Object> arrived = new LinkedBlockingQueue<>();

  /** The end of {@code context} ends the stream. */
  StreamCall(Context context, Channel channel, SubscribeRequest request) {
    Context before = context.attach();
    try {
      call = channel.newCall(MmsMoServiceGrpc.getSubscribeMethod(), CallOptions.DEFAULT);
      call.start(new Listener(), new Metadata());
    } finally {
      context.detach(before);
    }
    call.sendMessage(request);
    call.halfClose();
    call.request(FRAMES_AT_ONCE);
  }

  private final class Listener extends ClientCall.Listener<SubscribeResponse> {
    @Override
    public void onMessage(SubscribeResponse frame) {
      arrived.add(frame);
    }

    @Override
    public void onClose(Status status, Metadata trailers) {
      arrived.add(
          status.isOk()
              ? Errors.unavailable("the gateway ended the stream")
              : status.asRuntimeException(trailers));
    }
  }

  /**
   * The next frame; null if none comes within {@code nanos}.
   *
   * @throws StatusRuntimeException if the stream has ended; then it is not called again
   */
  SubscribeResponse next(long nanos) throws InterruptedException {
    Object next = arrived.poll(nanos, TimeUnit.NANOSECONDS);
    if (next instanceof StatusRuntimeException) {
      throw (StatusRuntimeException) next;
    }
    if (next != null) {
      call.request(1);
    }
    return (SubscribeResponse) next;
  }

  void cancel() {
    call.cancel("done", null);
  }
}
