package io.github.mmsmo.gateway.runner;

import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import io.github.mmsmo.gateway.Defaults;
import io.github.mmsmo.gateway.StopMode;
import io.github.mmsmo.gateway.Subscriber;
import io.github.mmsmo.gateway.Verdict;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.lang.reflect.Field;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicLong;

/**
 * The consumer that tests/clients drives: commands on standard input, events on standard output, a
 * JSON object a line. tests/clients/runner.py says what the commands are.
 */
public final class Runner {
  private final Output output = new Output(System.out);
  private final CountDownLatch held = new CountDownLatch(1);
  private final List<Scene> scenes = new ArrayList<>();

  private void perform(JsonObject command) throws IllegalAccessException, InterruptedException {
    String what = command.get("do").getAsString();
    switch (what) {
      case "defaults":
        output.write("defaults", defaults());
        break;
      case "run":
      case "follow":
        scenes.add(new Scene(command, output, held));
        break;
      case "measure":
        measure(command);
        break;
      case "stop":
        stop(command);
        break;
      case "go":
        held.countDown();
        break;
      default:
        throw new IllegalArgumentException("there is no command " + what);
    }
  }

  private void measure(JsonObject command) throws InterruptedException {
    long count = command.get("count").getAsLong();
    AtomicLong handled = new AtomicLong();
    long begin = System.nanoTime();
    try (Subscriber subscriber =
        Subscriber.builder().target(command.get("target").getAsString()).build()) {
      subscriber.run(
          command.get("subscription").getAsString(),
          delivery -> {
            if (handled.incrementAndGet() == count) {
              subscriber.stop(StopMode.FINISH, Duration.ofMillis(Defaults.STOP_TIMEOUT_MS));
            }
            return Verdict.ack();
          });
    }
    JsonObject measured = new JsonObject();
    measured.addProperty("code", "OK");
    measured.addProperty("seconds", (System.nanoTime() - begin) / 1e9);
    output.write("measured", measured);
  }

  private static JsonObject defaults() throws IllegalAccessException {
    JsonObject values = new JsonObject();
    for (Field field : Defaults.class.getFields()) {
      values.addProperty(field.getName().toLowerCase(Locale.ROOT), (Number) field.get(null));
    }
    return values;
  }

  private void stop(JsonObject command) {
    StopMode mode = StopMode.valueOf(command.get("mode").getAsString().toUpperCase(Locale.ROOT));
    long timeout =
        command.has("timeout_ms")
            ? command.get("timeout_ms").getAsLong()
            : Defaults.STOP_TIMEOUT_MS;
    scenes.forEach(scene -> scene.stop(mode, Duration.ofMillis(timeout)));
  }

  private void serve() throws IOException, IllegalAccessException, InterruptedException {
    BufferedReader lines =
        new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    for (String line; (line = lines.readLine()) != null; ) {
      perform(JsonParser.parseString(line).getAsJsonObject());
    }
    for (Scene scene : scenes) {
      scene.close();
    }
  }

  public static void main(String[] arguments) throws Exception {
    new Runner().serve();
    System.exit(0);
  }
}
