package io.github.mmsmo.gateway;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.grpc.TlsChannelCredentials;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.time.Duration;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class OptionsTest {
  private static void refuses(String option, Subscriber.Builder builder) {
    IllegalArgumentException refusal =
        assertThrows(IllegalArgumentException.class, () -> builder.build());
    assertTrue(refusal.getMessage().startsWith(option + ":"), refusal.getMessage());
  }

  private static Subscriber.Builder builder() {
    return Subscriber.builder().target("localhost:1");
  }

  @Test
  void theOptionThatIsWrongIsNamed() {
    refuses("target", Subscriber.builder());
    refuses("concurrency", builder().concurrency(0));
    refuses("stopTimeout", builder().stopTimeout(Duration.ofMillis(-1)));
    refuses("heartbeatInterval", builder().heartbeatInterval(Duration.ofMillis(-1)));
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "localhost:9090",
        "LOCALHOST.",
        "127.0.0.1:1",
        "127.9.9.9",
        "[::1]:1",
        "::1",
        "unix:/tmp/s",
        "dns:///localhost:1",
        "dns://8.8.8.8/127.0.0.1:1",
        "a.localhost:1",
        "[::ffff:127.0.0.1]:1",
        "[0:0:0:0:0:0:0:1]:1"
      })
  void aTokenGoesToThisMachine(String target) {
    assertNotNull(Subscriber.builder().target(target).token(TokenSource.of("x")).build());
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "example.com:9090",
        "128.0.0.1:1",
        "127.0.0.1.example.com",
        "[::2]:1",
        "localhost.com:1",
        "dns:///example.com",
        "dns://127.0.0.1/example.com:1",
        "1270.0.0.1",
        "[::1:1]:1"
      })
  void aTokenGoesNowhereElseUnencrypted(String target) {
    Subscriber.Builder builder = Subscriber.builder().target(target).token(TokenSource.of("x"));
    refuses("token", builder);
    assertThrows(IllegalArgumentException.class, builder::openChannel);
    assertNotNull(builder.credentials(TlsChannelCredentials.create()).build());
    assertNotNull(
        Subscriber.builder().target(target).token(() -> "x").sendTokenUnencrypted(true).build());
  }

  @Test
  void aTokenHasOneVisibleLine() throws IOException {
    assertEquals("a-b", TokenSource.of("a-b").get());
    for (String token : new String[] {"", "a b", "a\nb", "a\u0001", "é"}) {
      assertThrows(IOException.class, TokenSource.of(token)::get, token);
    }
  }

  @Test
  void aTokenFileIsReadAgainWhenItChanges(@TempDir Path directory) throws IOException {
    Path file = directory.resolve("token");
    TokenSource source = TokenSource.file(file);
    assertThrows(IOException.class, source::get);
    Files.writeString(file, "first\n");
    assertEquals("first", source.get());
    Path next = Files.writeString(directory.resolve("next"), "other\r\n"); // of the same size
    Files.move(next, file, StandardCopyOption.REPLACE_EXISTING);
    assertEquals("other", source.get());
    Files.writeString(file, "this is broken\n");
    assertEquals("other", source.get());
    Files.delete(file);
    assertEquals("other", source.get());
  }
}
