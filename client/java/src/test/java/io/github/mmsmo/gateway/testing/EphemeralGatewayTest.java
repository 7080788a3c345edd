package io.github.mmsmo.gateway.testing;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.mmsmo.gateway.StopMode;
import io.github.mmsmo.gateway.Subscriber;
import io.github.mmsmo.gateway.Verdict;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;

class EphemeralGatewayTest {
  @RegisterExtension static final EphemeralGateway gateway = new EphemeralGateway();

  @Test
  void postsWhatASubscriberReceives() throws InterruptedException {
    gateway.createSubscription("billing");
    String cursor = gateway.post("a & b < c");
    List<String> seen = new ArrayList<>();
    try (Subscriber subscriber = Subscriber.builder().target(gateway.target()).build()) {
      subscriber.run(
          "billing",
          delivery -> {
            seen.add(delivery.event().getMmsMo().getTrackingId());
            seen.add(delivery.event().getCursor());
            subscriber.stop(StopMode.FINISH, Duration.ofSeconds(10));
            return Verdict.ack();
          });
    }
    assertEquals(List.of("a & b < c", cursor), seen);
    assertTrue(gateway.adminUrl().startsWith("http://127.0.0.1:"));
  }

  @Test
  void saysWhatIsWrongWithAPostback() {
    byte[] body = "<postback>".getBytes(StandardCharsets.UTF_8);
    AssertionError refusal = assertThrows(AssertionError.class, () -> gateway.postBody(body));
    assertTrue(refusal.getMessage().contains("bad_xml"), refusal.getMessage());
  }

  @Test
  void saysWhatIsWrongWithAGateway() {
    EphemeralGateway absent = new EphemeralGateway().binary(Path.of("/nowhere/mmsmo-gateway"));
    assertThrows(UncheckedIOException.class, absent::start);
    EphemeralGateway wrong = new EphemeralGateway().flags("--no-such-flag");
    AssertionError failure = assertThrows(AssertionError.class, wrong::start);
    assertTrue(failure.getCause().getMessage().contains("--no-such-flag"));
  }

  @Test
  void endsWithItsStandardInputAndByAKill() {
    EphemeralGateway other = new EphemeralGateway();
    other.start();
    long pid = pidOf(other);
    other.stop();
    assertFalse(ProcessHandle.of(pid).isPresent());
    other.start();
    long next = pidOf(other);
    other.kill();
    assertFalse(ProcessHandle.of(next).isPresent());
    other.stop(); // of none
  }

  private static long pidOf(EphemeralGateway other) {
    return ProcessHandle.current()
        .children()
        .mapToLong(ProcessHandle::pid)
        .max()
        .orElseThrow(() -> new AssertionError("it has no process: " + other.log()));
  }
}
