package io.github.mmsmo.gateway.runner;

import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import io.github.mmsmo.gateway.CursorExpiredException;
import io.github.mmsmo.gateway.Delivery;
import io.github.mmsmo.gateway.Hooks;
import io.github.mmsmo.gateway.Start;
import io.github.mmsmo.gateway.StopMode;
import io.github.mmsmo.gateway.Subscriber;
import io.github.mmsmo.gateway.TokenSource;
import io.github.mmsmo.gateway.Verdict;
import io.grpc.StatusRuntimeException;
import io.mmsmo.v1.Event;
import io.mmsmo.v1.StartPosition;
import java.time.Duration;
import java.util.Map;
import java.util.concurrent.CountDownLatch;

/** One run or follow, and what its handler does. */
final class Scene implements Hooks {
  private static final class PlannedException extends RuntimeException {
    private static final long serialVersionUID = 1;
  }

  private final JsonObject command;
  private final Output output;
  private final CountDownLatch held;
  private final Subscriber subscriber;
  private final Thread thread = new Thread(this::run);

  Scene(JsonObject command, Output output, CountDownLatch held) {
    this.command = command;
    this.output = output;
    this.held = held;
    Subscriber.Builder builder = Subscriber.builder().target(command.get("target").getAsString());
    if (command.has("options")) {
      for (Map.Entry<String, JsonElement> option : command.getAsJsonObject("options").entrySet()) {
        set(builder, option.getKey(), option.getValue());
      }
    }
    subscriber =
        builder
            .backoff(time("min_backoff_ms", 100), time("max_backoff_ms", 10_000))
            .hooks(this)
            .build();
    thread.start();
  }

  private Duration time(String name, int absent) {
    JsonObject options = command.getAsJsonObject("options");
    boolean isThere = options != null && options.has(name);
    return Duration.ofMillis(isThere ? options.get(name).getAsLong() : absent);
  }

  private static void set(Subscriber.Builder builder, String name, JsonElement value) {
    switch (name) {
      case "concurrency":
        builder.concurrency(value.getAsInt());
        break;
      case "max_outstanding_messages":
        builder.maxOutstandingMessages(value.getAsInt());
        break;
      case "max_outstanding_bytes":
        builder.maxOutstandingBytes(value.getAsLong());
        break;
      case "heartbeat_interval_ms":
        builder.heartbeatInterval(Duration.ofMillis(value.getAsLong()));
        break;
      case "connect_timeout_ms":
        builder.connectTimeout(Duration.ofMillis(value.getAsLong()));
        break;
      case "max_handler_time_ms":
        builder.maxHandlerTime(Duration.ofMillis(value.getAsLong()));
        break;
      case "token":
        builder.token(TokenSource.of(value.getAsString()));
        break;
      case "client_id":
        builder.clientId(value.getAsString());
        break;
      default: // the backoff's
    }
  }

  void stop(StopMode mode, Duration timeout) {
    subscriber.stop(mode, timeout);
  }

  void close() throws InterruptedException {
    subscriber.close();
    thread.join();
  }

  private void run() {
    Throwable end = null;
    try {
      if (command.get("do").getAsString().equals("run")) {
        subscriber.run(command.get("subscription").getAsString(), this::handle);
      } else {
        subscriber.follow(start(), this::follow);
      }
    } catch (InterruptedException | RuntimeException e) {
      end = e;
    }
    String earliest =
        end instanceof CursorExpiredException
            ? ((CursorExpiredException) end).earliestCursor()
            : "";
    output.write(
        "ended", "code", codeOf(end), "earliest_cursor", earliest, "cursor", subscriber.cursor());
  }

  private static String codeOf(Throwable end) {
    if (end instanceof StatusRuntimeException) {
      return ((StatusRuntimeException) end).getStatus().getCode().name();
    }
    return end == null ? "OK" : "INTERNAL";
  }

  private StartPosition start() {
    JsonObject start = command.getAsJsonObject("start");
    if (start.has("cursor")) {
      return Start.afterCursor(start.get("cursor").getAsString());
    }
    return start.get("boundary").getAsString().equals("LATEST") ? Start.latest() : Start.earliest();
  }

  private Verdict handle(Delivery delivery) {
    return perform(delivery.event().getMmsMo().getTrackingId(), delivery.attempt());
  }

  private void follow(Event event) {
    perform(event.getMmsMo().getTrackingId(), 0);
  }

  private Verdict perform(String id, int attempt) {
    output.write("begin", "id", id, "attempt", attempt);
    Rule rule = Rule.of(command, id, attempt);
    boolean wasTold = work(rule);
    if (wasTold) {
      output.write("told", "id", id);
    } else if (rule.isToThrow()) {
      output.write("end", "id", id, "attempt", attempt, "verdict", "throw");
      throw new PlannedException();
    }
    Verdict verdict = wasTold ? Verdict.retry() : rule.verdict();
    output.write("end", "id", id, "attempt", attempt, "verdict", verdict.toString());
    return verdict;
  }

  /** Returns whether the handler was told to end before it was done. */
  private boolean work(Rule rule) {
    try {
      if (rule.isToHold()) {
        held.await();
      }
      Thread.sleep(rule.workMillis());
      return false;
    } catch (InterruptedException e) {
      return true;
    }
  }

  @Override
  public void connected() {
    output.write("connected");
  }

  @Override
  public void disconnected(StatusRuntimeException why) {
    output.write("disconnected", "code", codeOf(why));
  }

  @Override
  public void caughtUp() {
    output.write("caught_up");
  }

  @Override
  public void ackFailed(String ackId, String why) {
    output.write("ack_failed", "why", why);
  }
}
