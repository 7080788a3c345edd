package io.github.mmsmo.gateway;

import io.grpc.StatusRuntimeException;
import java.util.function.Consumer;

/**
 * For metrics, traces and tests. Called by several threads, never after the run, and must not wait
 * for its end.
 */
public interface Hooks {
  /** A stream began. */
  default void connected() {}

  /** A stream ended, or could not begin, and will be tried again. */
  default void disconnected(StatusRuntimeException why) {}

  /** Everything that the gateway had was received. */
  default void caughtUp() {}

  /**
   * An acknowledgement or a dead letter had no effect.
   *
   * @param why {@code EXPIRED}: the event is delivered again, or was already; {@code INVALID}: the
   *     gateway does not know the ack id; or the code that the call failed with for good
   */
  default void ackFailed(String ackId, String why) {}

  /**
   * Called before each handler of a named subscription, by its thread, which tells what this
   * returns the verdict afterwards. A trace with OpenTelemetry:
   *
   * <pre>{@code
   * Context sender = W3CTraceContextPropagator.getInstance()
   *     .extract(Context.root(), delivery.event().getTraceParent(), TRACE_PARENT_GETTER);
   * Span span = tracer.spanBuilder("handle").addLink(Span.fromContext(sender).getSpanContext()).startSpan();
   * Scope scope = span.makeCurrent();
   * return verdict -> {
   *   scope.close();
   *   span.setAttribute("verdict", verdict.toString());
   *   span.end();
   * };
   * }</pre>
   */
  default Consumer<Verdict> handling(Delivery delivery) {
    return verdict -> {};
  }
}
