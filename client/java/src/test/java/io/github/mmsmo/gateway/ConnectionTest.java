package io.github.mmsmo.gateway;

import static io.github.mmsmo.gateway.Wait.until;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.mmsmo.gateway.testing.EphemeralGateway;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.Proxy;
import java.net.ProxySelector;
import java.net.SocketAddress;
import java.net.URI;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ConnectionTest {
  private final EphemeralGateway gateway = new EphemeralGateway();

  @AfterEach
  void stop() {
    gateway.stop();
  }

  private static Consumer consume(String target) {
    return new Consumer(target, builder -> builder, delivery -> Verdict.ack());
  }

  @Test
  void aUnixSocketIsATarget(@TempDir Path directory) {
    String target = "unix:" + directory.resolve("socket");
    gateway.flags("--grpc-listen", target).start();
    assertEquals(target, gateway.target());
    gateway.createSubscription(Consumer.NAME);
    gateway.post("1");
    try (Consumer consumer = consume(target)) {
      until("it is handled", () -> consumer.handled() == 1);
    }
  }

  @Test
  void aProxyOfTheEnvironmentIsNotForThisMachine() {
    gateway.start();
    gateway.createSubscription(Consumer.NAME);
    gateway.post("1");
    List<URI> asked = new CopyOnWriteArrayList<>();
    ProxySelector before = ProxySelector.getDefault();
    ProxySelector.setDefault(
        new ProxySelector() {
          @Override
          public List<Proxy> select(URI target) {
            asked.add(target);
            InetSocketAddress nobody = new InetSocketAddress(InetAddress.getLoopbackAddress(), 1);
            return List.of(new Proxy(Proxy.Type.HTTP, nobody));
          }

          @Override
          public void connectFailed(URI target, SocketAddress proxy, IOException why) {}
        });
    try {
      try (Consumer consumer = consume(gateway.target())) {
        until("it is handled", () -> consumer.handled() == 1);
      }
      assertTrue(asked.isEmpty(), asked.toString());
      try (Consumer consumer = consume("192.0.2.1:1")) {
        until("the proxy was tried", () -> !consumer.disconnected.isEmpty());
      }
      assertEquals(List.of("192.0.2.1"), hosts(asked));
    } finally {
      ProxySelector.setDefault(before);
    }
  }

  private static List<String> hosts(List<URI> asked) {
    return List.of(asked.get(0).getHost());
  }
}
