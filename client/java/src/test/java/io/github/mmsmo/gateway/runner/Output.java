package io.github.mmsmo.gateway.runner;

import com.google.gson.JsonObject;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;

/** Writes events, a JSON object a line. */
final class Output {
  private final PrintStream stream;

  Output(PrintStream stream) {
    this.stream = stream;
  }

  synchronized void write(String event, JsonObject fields) {
    fields.addProperty("event", event);
    byte[] line = (fields + "\n").getBytes(StandardCharsets.UTF_8);
    stream.write(line, 0, line.length);
    stream.flush();
  }

  /** Of names and values in turns. */
  void write(String event, Object... fields) {
    JsonObject object = new JsonObject();
    for (int i = 0; i < fields.length; i += 2) {
      if (fields[i + 1] instanceof Number) {
        object.addProperty((String) fields[i], (Number) fields[i + 1]);
      } else {
        object.addProperty((String) fields[i], (String) fields[i + 1]);
      }
    }
    write(event, object);
  }
}
