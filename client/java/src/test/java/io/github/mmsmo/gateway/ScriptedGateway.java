package io.github.mmsmo.gateway;

import io.grpc.Grpc;
import io.grpc.InsecureServerCredentials;
import io.grpc.Metadata;
import io.grpc.Server;
import io.grpc.ServerCall;
import io.grpc.ServerCallHandler;
import io.grpc.ServerInterceptor;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.stub.StreamObserver;
import io.mmsmo.v1.AckFailure;
import io.mmsmo.v1.AckFailureReason;
import io.mmsmo.v1.AcknowledgeRequest;
import io.mmsmo.v1.AcknowledgeResponse;
import io.mmsmo.v1.Delivery;
import io.mmsmo.v1.DeliveryBatch;
import io.mmsmo.v1.Event;
import io.mmsmo.v1.MmsMo;
import io.mmsmo.v1.MmsMoServiceGrpc;
import io.mmsmo.v1.ModifyAckDeadlineRequest;
import io.mmsmo.v1.ModifyAckDeadlineResponse;
import io.mmsmo.v1.Started;
import io.mmsmo.v1.SubscribeRequest;
import io.mmsmo.v1.SubscribeResponse;
import java.io.IOException;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.atomic.AtomicReference;

/** A gateway that does what a real one does seldom. */
final class ScriptedGateway extends MmsMoServiceGrpc.MmsMoServiceImplBase implements AutoCloseable {
  /** Answers a call, or throws what it fails with. */
  interface Script<Q, A> {
    A answer(Q request);
  }

  interface Stream {
    void serve(SubscribeRequest request, StreamObserver<SubscribeResponse> frames);
  }

  volatile Stream subscribe = (request, frames) -> deliver(frames, "a");
  volatile Script<AcknowledgeRequest, AcknowledgeResponse> acknowledge =
      request -> AcknowledgeResponse.getDefaultInstance();
  volatile Script<ModifyAckDeadlineRequest, ModifyAckDeadlineResponse> modify =
      request -> ModifyAckDeadlineResponse.getDefaultInstance();
  final List<ModifyAckDeadlineRequest> modified = new CopyOnWriteArrayList<>();
  final List<SubscribeRequest> subscribed = new CopyOnWriteArrayList<>();
  final AtomicReference<String> authorization = new AtomicReference<>(); // of the last call
  private final Server server;

  ScriptedGateway() throws IOException {
    server =
        Grpc.newServerBuilderForPort(0, InsecureServerCredentials.create())
            .addService(this)
            .intercept(new SeesAuthorization())
            .build()
            .start();
  }

  private final class SeesAuthorization implements ServerInterceptor {
    @Override
    public <Q, A> ServerCall.Listener<Q> interceptCall(
        ServerCall<Q, A> call, Metadata headers, ServerCallHandler<Q, A> next) {
      authorization.set(
          headers.get(Metadata.Key.of("authorization", Metadata.ASCII_STRING_MARSHALLER)));
      return next.startCall(call, headers);
    }
  }

  String target() {
    return "localhost:" + server.getPort();
  }

  @Override
  public void close() {
    server.shutdownNow();
  }

  static SubscribeResponse started() {
    return SubscribeResponse.newBuilder()
        .setStarted(
            Started.newBuilder()
                .setStreamId("stream")
                .setHeartbeatInterval(Ticks.toProto(Ticks.ofMillis(60_000)))
                .setAckDeadline(Ticks.toProto(Ticks.ofMillis(60_000))))
        .build();
  }

  static SubscribeResponse batch(String... ackIds) {
    DeliveryBatch.Builder batch = DeliveryBatch.newBuilder();
    for (String ackId : ackIds) {
      Event.Builder event = Event.newBuilder().setMmsMo(MmsMo.newBuilder().setTrackingId(ackId));
      batch.addDeliveries(Delivery.newBuilder().setAckId(ackId).setAttempt(1).setEvent(event));
    }
    return SubscribeResponse.newBuilder().setBatch(batch).build();
  }

  static void deliver(StreamObserver<SubscribeResponse> frames, String... ackIds) {
    frames.onNext(started());
    frames.onNext(batch(ackIds));
  }

  static AckFailure failure(String ackId, AckFailureReason reason) {
    return AckFailure.newBuilder().setAckId(ackId).setReason(reason).build();
  }

  @Override
  public void subscribe(SubscribeRequest request, StreamObserver<SubscribeResponse> frames) {
    subscribed.add(request);
    try {
      subscribe.serve(request, frames);
    } catch (StatusRuntimeException e) {
      frames.onError(e);
    }
  }

  @Override
  public void acknowledge(AcknowledgeRequest request, StreamObserver<AcknowledgeResponse> answer) {
    answer(acknowledge, request, answer);
  }

  @Override
  public void modifyAckDeadline(
      ModifyAckDeadlineRequest request, StreamObserver<ModifyAckDeadlineResponse> answer) {
    modified.add(request);
    answer(modify, request, answer);
  }

  private static <Q, A> void answer(Script<Q, A> script, Q request, StreamObserver<A> observer) {
    A answer;
    try {
      answer = script.answer(request);
    } catch (StatusRuntimeException e) {
      observer.onError(e);
      return;
    }
    observer.onNext(answer);
    observer.onCompleted();
  }

  static StatusRuntimeException passing() {
    return Status.UNAVAILABLE.withDescription("again").asRuntimeException();
  }
}
