package io.github.mmsmo.gateway.testing;

import io.github.mmsmo.gateway.Start;
import io.github.mmsmo.gateway.Subscriber;
import io.grpc.ManagedChannel;
import io.mmsmo.v1.CreateSubscriptionRequest;
import io.mmsmo.v1.Subscription;
import io.mmsmo.v1.SubscriptionServiceGrpc;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.net.HttpURLConnection;
import java.net.Proxy;
import java.net.URL;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.extension.AfterAllCallback;
import org.junit.jupiter.api.extension.AfterEachCallback;
import org.junit.jupiter.api.extension.BeforeAllCallback;
import org.junit.jupiter.api.extension.BeforeEachCallback;
import org.junit.jupiter.api.extension.ExtensionContext;

/**
 * A gateway for tests, {@code mmsmo-gateway --ephemeral}: its journal is temporary, its ports are
 * free ones of this machine, and it ends with the tests.
 *
 * <pre>{@code
 * @RegisterExtension static final EphemeralGateway gateway = new EphemeralGateway();
 * // and in a test:
 * gateway.createSubscription("billing");
 * gateway.post("message-1");
 * Subscriber subscriber = Subscriber.builder().target(gateway.target()).build();
 * }</pre>
 *
 * <p>A static one serves all tests of its class, another one each test. Its methods throw
 * AssertionError where the gateway does not do what they ask. For one thread at a time, but for
 * {@link #post}.
 */
public final class EphemeralGateway
    implements BeforeAllCallback, AfterAllCallback, BeforeEachCallback, AfterEachCallback {
  private static final String PATH = "/postbacks/mms-mo";
  private static final long PATIENCE_SECONDS = 10;

  private final List<String> command = new ArrayList<>();
  private boolean isOfClass;
  private Process process; // null: it does not run
  private Path log;
  private String addresses;

  /** Of the environment variable MMSMO_GATEWAY, else mmsmo-gateway on the PATH. */
  public EphemeralGateway() {
    String binary = System.getenv("MMSMO_GATEWAY");
    command.add(binary == null || binary.isEmpty() ? "mmsmo-gateway" : binary);
    command.add("--ephemeral");
  }

  /** The gateway's path. */
  public EphemeralGateway binary(Path binary) {
    command.set(0, binary.toString());
    return this;
  }

  /** More of the gateway's flags, such as "--resume-window", "1s". */
  public EphemeralGateway flags(String... flags) {
    command.addAll(List.of(flags));
    return this;
  }

  /** Where its services are, for {@link Subscriber.Builder#target}. */
  public String target() {
    return address("grpc");
  }

  /** Takes postbacks. */
  public String url() {
    return "http://" + address("http") + PATH;
  }

  /** Has /healthz, /readyz and /metrics. */
  public String adminUrl() {
    return "http://" + address("admin");
  }

  private String address(String name) {
    return field(addresses, name);
  }

  /** Starts it, and waits until it serves; JUnit does so before the tests. */
  public void start() {
    try {
      log = Files.createTempFile("mmsmo-gateway-", ".log");
      process = new ProcessBuilder(command).redirectError(log.toFile()).start();
    } catch (IOException e) {
      deleteLog();
      throw new UncheckedIOException("give the gateway's path as binary or MMSMO_GATEWAY", e);
    }
    BufferedReader output =
        new BufferedReader(new InputStreamReader(process.getInputStream(), StandardCharsets.UTF_8));
    try {
      addresses =
          CompletableFuture.supplyAsync(() -> readLine(output))
              .get(PATIENCE_SECONDS, TimeUnit.SECONDS);
    } catch (ExecutionException | TimeoutException e) {
      kill();
      throw new AssertionError("the gateway does not begin", e);
    } catch (InterruptedException e) {
      kill();
      Thread.currentThread().interrupt();
      throw new AssertionError(e);
    }
  }

  private String readLine(BufferedReader output) {
    try {
      String line = output.readLine();
      if (line == null) {
        throw new AssertionError("the gateway ended at once: " + log());
      }
      return line;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** Ends it; JUnit does so after the tests. */
  public void stop() {
    if (process == null) {
      return;
    }
    try {
      process.getOutputStream().close();
      if (!process.waitFor(PATIENCE_SECONDS, TimeUnit.SECONDS) || process.exitValue() != 0) {
        throw new AssertionError("the gateway ends badly: " + log());
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    } finally {
      kill();
    }
  }

  /** Ends it as a crash would. */
  public void kill() {
    if (process == null) {
      return;
    }
    process.destroyForcibly().onExit().join();
    process = null;
    deleteLog();
  }

  private void deleteLog() {
    try {
      if (log != null) {
        Files.delete(log);
        log = null;
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** What it has logged; empty unless it runs. */
  public String log() {
    try {
      return log == null ? "" : Files.readString(log);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** Makes a named subscription to everything from the earliest event on. */
  public void createSubscription(String name) {
    createSubscription(Subscription.newBuilder().setName(name));
  }

  /** Makes a subscription; from the earliest event on, unless it says otherwise. */
  public void createSubscription(Subscription.Builder subscription) {
    if (!subscription.hasStartPosition()) {
      subscription.setStartPosition(Start.earliest());
    }
    ManagedChannel channel = Subscriber.builder().target(target()).openChannel();
    try {
      SubscriptionServiceGrpc.newBlockingStub(channel)
          .withDeadlineAfter(PATIENCE_SECONDS, TimeUnit.SECONDS)
          .createSubscription(
              CreateSubscriptionRequest.newBuilder().setSubscription(subscription).build());
    } finally {
      channel.shutdownNow();
    }
  }

  /** A postback as the provider has it, in XML. */
  public static byte[] sample(String trackingId) {
    String id = trackingId.replace("&", "&amp;").replace("<", "&lt;");
    String xml =
        "<postback><origin>MMS_MO</origin><code>N401</code><from>14082257140</from><to>28444</to>"
            + "<tracking-id>"
            + id
            + "</tracking-id><timestamp>2026-04-24T18:34:00Z</timestamp><content>"
            + "<file>https://files.example.com/MMS_MO/photo.jpg</file></content></postback>";
    return xml.getBytes(StandardCharsets.UTF_8);
  }

  /** Posts a sample, and returns the event's cursor once it is durable. */
  public String post(String trackingId) {
    return postBody(sample(trackingId));
  }

  /** Posts a body in XML that must be accepted, and returns the event's cursor. */
  public String postBody(byte[] body) {
    try {
      HttpURLConnection connection =
          (HttpURLConnection) new URL(url()).openConnection(Proxy.NO_PROXY);
      connection.setDoOutput(true);
      connection.setRequestProperty("Content-Type", "application/xml");
      connection.setReadTimeout((int) TimeUnit.SECONDS.toMillis(PATIENCE_SECONDS));
      try (OutputStream out = connection.getOutputStream()) {
        out.write(body);
      }
      String answer;
      int status = connection.getResponseCode();
      try (InputStream in =
          status < 400 ? connection.getInputStream() : connection.getErrorStream()) {
        answer = new String(in.readAllBytes(), StandardCharsets.UTF_8);
      }
      if (!field(answer, "outcome").equals("accepted")) {
        throw new AssertionError("the postback was answered " + status + ": " + answer);
      }
      return field(answer, "cursor");
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** Of a flat JSON object whose values need no unescaping. */
  private static String field(String json, String name) {
    Matcher field = Pattern.compile("\"" + name + "\":\\s*\"([^\"]*)\"").matcher(json);
    if (!field.find()) {
      throw new AssertionError("the gateway says no " + name + ": " + json);
    }
    return field.group(1);
  }

  @Override
  public void beforeAll(ExtensionContext context) {
    isOfClass = true;
    start();
  }

  @Override
  public void afterAll(ExtensionContext context) {
    stop();
  }

  @Override
  public void beforeEach(ExtensionContext context) {
    if (!isOfClass) {
      start();
    }
  }

  @Override
  public void afterEach(ExtensionContext context) {
    if (!isOfClass) {
      stop();
    }
  }
}
