package io.github.mmsmo.gateway;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicInteger;

/** A connection's way to the gateway, on which much can go wrong. */
final class FaultyProxy implements AutoCloseable {
  private final String host;
  private final int port;
  private final ServerSocket listener = new ServerSocket(0, 50, InetAddress.getLoopbackAddress());
  private final List<Socket> sockets = new ArrayList<>();
  private final CountDownLatch closed = new CountDownLatch(1);
  private boolean isHole;
  private int holes; // so far

  final AtomicInteger taken = new AtomicInteger(); // connections

  FaultyProxy(String target) throws IOException {
    int colon = target.lastIndexOf(':');
    host = target.substring(0, colon);
    port = Integer.parseInt(target.substring(colon + 1));
    begin(this::accept);
  }

  private static void begin(Runnable task) {
    Thread thread = new Thread(task, "proxy");
    thread.setDaemon(true);
    thread.start();
  }

  String target() {
    return "127.0.0.1:" + listener.getLocalPort();
  }

  private void accept() {
    try {
      while (true) {
        Socket client = listener.accept();
        taken.incrementAndGet();
        int before = holesBefore();
        Socket server = connect(client);
        if (server != null) {
          begin(() -> forward(client, server, before));
          begin(() -> forward(server, client, before));
        }
      }
    } catch (IOException e) {
      // It is closed.
    }
  }

  private Socket connect(Socket client) throws IOException {
    try {
      Socket server = new Socket(host, port);
      synchronized (this) {
        sockets.add(client);
        sockets.add(server);
      }
      return server;
    } catch (IOException e) {
      client.close();
      return null;
    }
  }

  /** Not counting the one that is open: who comes into it stays in it. */
  private synchronized int holesBefore() {
    return isHole ? holes - 1 : holes;
  }

  private void forward(Socket from, Socket to, int before) {
    byte[] bytes = new byte[1 << 16];
    try (Socket in = from;
        Socket out = to) {
      InputStream input = in.getInputStream();
      OutputStream output = out.getOutputStream();
      for (int count; (count = input.read(bytes)) >= 0; ) {
        if (hasFallen(before)) {
          closed.await();
          return;
        }
        output.write(bytes, 0, count);
      }
    } catch (IOException | InterruptedException e) {
      // It is cut.
    }
  }

  private synchronized boolean hasFallen(int before) {
    return holes > before;
  }

  /** Closes every connection. */
  synchronized void cut() throws IOException {
    for (Socket socket : sockets) {
      socket.close();
    }
    sockets.clear();
  }

  /** Makes a black hole of the connections that there are and that come. */
  synchronized void dig() {
    isHole = true;
    ++holes;
  }

  /** Lets new connections through; those in the hole stay there. */
  synchronized void openWay() {
    isHole = false;
  }

  @Override
  public void close() throws IOException {
    closed.countDown();
    listener.close();
    cut();
  }
}
