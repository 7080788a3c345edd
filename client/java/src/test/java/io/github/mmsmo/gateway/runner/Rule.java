package io.github.mmsmo.gateway.runner;

import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import io.github.mmsmo.gateway.Verdict;
import java.time.Duration;

/** What the handler does with a delivery. What is absent matches anything. */
final class Rule {
  private static final int EXIT_OF_HANDLER = 3;

  private final JsonObject rule;

  private Rule(JsonObject rule) {
    this.rule = rule;
  }

  /** The first that matches; none: an acknowledgement. */
  static Rule of(JsonObject command, String id, int attempt) {
    if (command.has("plan")) {
      for (JsonElement element : command.getAsJsonArray("plan")) {
        Rule rule = new Rule(element.getAsJsonObject());
        if (rule.text("id", id).equals(id) && rule.number("attempt", attempt) == attempt) {
          return rule;
        }
      }
    }
    return new Rule(new JsonObject());
  }

  private String text(String name, String absent) {
    return rule.has(name) ? rule.get(name).getAsString() : absent;
  }

  private long number(String name, long absent) {
    return rule.has(name) ? rule.get(name).getAsLong() : absent;
  }

  boolean isToHold() {
    return rule.has("hold") && rule.get("hold").getAsBoolean();
  }

  long workMillis() {
    return number("work_ms", 0);
  }

  boolean isToThrow() {
    return text("verdict", "").equals("throw");
  }

  Verdict verdict() {
    switch (text("verdict", "ack")) {
      case "retry":
        return Verdict.retry();
      case "retry_after":
        return Verdict.retryAfter(Duration.ofMillis(number("after_ms", 0)));
      case "dead_letter":
        return Verdict.deadLetter(text("reason", ""));
      case "exit":
        Runtime.getRuntime().halt(EXIT_OF_HANDLER);
        throw new AssertionError("it goes on");
      default:
        return Verdict.ack();
    }
  }
}
