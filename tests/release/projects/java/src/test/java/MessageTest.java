import static org.junit.jupiter.api.Assertions.assertEquals;

import io.github.mmsmo.gateway.StopMode;
import io.github.mmsmo.gateway.Subscriber;
import io.github.mmsmo.gateway.Verdict;
import io.github.mmsmo.gateway.testing.EphemeralGateway;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;

class MessageTest {
  @RegisterExtension static final EphemeralGateway gateway = new EphemeralGateway();

  @Test
  void aMessageIsHandled() throws InterruptedException {
    gateway.createSubscription("billing");
    gateway.post("message-1");

    List<String> handled = new ArrayList<>();
    try (Subscriber subscriber = Subscriber.builder().target(gateway.target()).build()) {
      subscriber.run(
          "billing",
          delivery -> {
            handled.add(delivery.event().getMmsMo().getTrackingId());
            subscriber.stop(StopMode.FINISH, Duration.ofSeconds(10));
            return Verdict.ack();
          });
    }
    assertEquals(List.of("message-1"), handled);
  }
}
