package io.github.mmsmo.gateway;

import static io.github.mmsmo.gateway.Wait.until;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;

import io.github.mmsmo.gateway.testing.EphemeralGateway;
import io.grpc.ChannelCredentials;
import io.grpc.ManagedChannel;
import io.grpc.Status;
import io.grpc.TlsChannelCredentials;
import io.mmsmo.v1.CreateSubscriptionRequest;
import io.mmsmo.v1.Subscription;
import io.mmsmo.v1.SubscriptionServiceGrpc;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.List;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Against a gateway that knows who may subscribe; openssl makes the certificates. */
class TlsTest {
  private static final String TOKEN = "0123456789abcdef0123456789abcdef";

  @TempDir Path directory;
  private EphemeralGateway gateway;
  private final List<Consumer> consumers = new ArrayList<>();

  private Path file(String name) {
    return directory.resolve(name);
  }

  private void openssl(String... arguments) throws IOException, InterruptedException {
    List<String> command = new ArrayList<>(List.of("openssl"));
    command.addAll(List.of(arguments));
    Process process =
        new ProcessBuilder(command)
            .directory(directory.toFile())
            .redirectErrorStream(true)
            .redirectOutput(file("log").toFile())
            .start();
    assertEquals(0, process.waitFor(), () -> log());
  }

  private String log() {
    try {
      return Files.readString(file("log"));
    } catch (IOException e) {
      return e.toString();
    }
  }

  private void issue(String name) throws IOException, InterruptedException {
    openssl(
        "req",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-subj",
        "/CN=" + name,
        "-addext",
        "subjectAltName=DNS:" + name,
        "-keyout",
        name + ".key",
        "-out",
        name + ".csr");
    openssl(
        "x509",
        "-req",
        "-in",
        name + ".csr",
        "-CA",
        "ca.pem",
        "-CAkey",
        "ca.key",
        "-CAcreateserial",
        "-copy_extensions",
        "copy",
        "-days",
        "1",
        "-out",
        name + ".pem");
  }

  @BeforeEach
  void start() throws IOException, InterruptedException {
    openssl(
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-subj",
        "/CN=authority",
        "-days",
        "1",
        "-keyout",
        "ca.key",
        "-out",
        "ca.pem");
    issue("gateway.example");
    issue("consumer");
    Files.writeString(file("token"), TOKEN);
    Files.setPosixFilePermissions(file("token"), PosixFilePermissions.fromString("rw-------"));
    Files.writeString(
        file("gateway.toml"),
        "[[identity]]\nname = \"token\"\ntoken-file = [\""
            + file("token")
            + "\"]\n"
            + "allow = [\"admin\"]\n"
            + "[[identity]]\nname = \"certificate\"\nsan = [\"consumer\"]\n"
            + "allow = [\"consume\"]\n");
    gateway =
        new EphemeralGateway()
            .flags(
                "--config", file("gateway.toml").toString(),
                "--grpc-tls-cert", file("gateway.example.pem").toString(),
                "--grpc-tls-key", file("gateway.example.key").toString(),
                "--grpc-tls-client-ca", file("ca.pem").toString());
    gateway.start();
    ManagedChannel channel = builder(tls()).token(TokenSource.of(TOKEN)).openChannel();
    Subscription.Builder subscription =
        Subscription.newBuilder().setName(Consumer.NAME).setStartPosition(Start.earliest());
    SubscriptionServiceGrpc.newBlockingStub(channel)
        .createSubscription(
            CreateSubscriptionRequest.newBuilder().setSubscription(subscription).build());
    channel.shutdownNow();
    gateway.post("secret");
  }

  @AfterEach
  void end() {
    consumers.forEach(Consumer::close);
    gateway.stop();
  }

  private ChannelCredentials tls() throws IOException {
    return TlsChannelCredentials.newBuilder().trustManager(file("ca.pem").toFile()).build();
  }

  private Subscriber.Builder builder(ChannelCredentials credentials) {
    return Subscriber.builder()
        .target(gateway.target())
        .serverName("gateway.example")
        .credentials(credentials);
  }

  private Consumer consume(UnaryOperator<Subscriber.Builder> set) {
    Consumer consumer = new Consumer(gateway.target(), set, delivery -> Verdict.ack());
    consumers.add(consumer);
    return consumer;
  }

  @Test
  void aTokenIsShownOverTls() throws IOException {
    ChannelCredentials tls = tls();
    Consumer consumer =
        consume(
            builder ->
                builder
                    .credentials(tls)
                    .serverName("gateway.example")
                    .token(TokenSource.file(file("token"))));
    until("it is handled", () -> consumer.handled() == 1);
  }

  @Test
  void aCertificateIsShown() throws IOException {
    ChannelCredentials tls =
        TlsChannelCredentials.newBuilder()
            .trustManager(file("ca.pem").toFile())
            .keyManager(file("consumer.pem").toFile(), file("consumer.key").toFile())
            .build();
    Consumer consumer = consume(builder -> builder.credentials(tls).serverName("gateway.example"));
    until("it is handled", () -> consumer.handled() == 1);
  }

  @Test
  void whoShowsNothingIsRefused() throws IOException {
    ChannelCredentials tls = tls();
    consume(builder -> builder.credentials(tls).serverName("gateway.example"))
        .endsWith(Status.Code.UNAUTHENTICATED);
  }

  @Test
  void aGatewayOfAnotherNameIsNotTrusted() throws IOException {
    ChannelCredentials tls = tls();
    Consumer consumer = consume(builder -> builder.credentials(tls).token(TokenSource.of(TOKEN)));
    until("it is refused", () -> !consumer.disconnected.isEmpty());
    assertEquals(Status.Code.UNAVAILABLE, consumer.disconnected.get(0));
    assertEquals(0, consumer.handled());
    assertFalse(consumer.connected.get() > 0);
  }
}
