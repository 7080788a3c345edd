package io.github.mmsmo.gateway;

import java.util.Locale;
import java.util.regex.Pattern;

/** Where a gateway is, as gRPC writes it. */
final class Target {
  private static final Pattern FOUR = Pattern.compile("127(\\.\\d{1,3}){3}");
  private static final Pattern SIX =
      Pattern.compile(
          "(0{0,4}:)+0{0,3}1|(0{0,4}:)+ffff:(127(\\.\\d{1,3}){3}|7f[0-9a-f]{2}:[0-9a-f]{1,4})");

  /** Whether it is a unix socket, or names this machine by its loopback address. */
  static boolean isLocal(String target) {
    if (target.startsWith("unix:")) {
      return true;
    }
    return isLoopback(hostOf(authorityOf(target)));
  }

  private static String authorityOf(String target) {
    if (!target.startsWith("dns:")) {
      return target;
    }
    String rest = target.substring("dns:".length());
    if (rest.startsWith("//")) {
      int path = rest.indexOf('/', 2);
      rest = path < 0 ? "" : rest.substring(path);
    }
    return rest.startsWith("/") ? rest.substring(1) : rest;
  }

  /** Of HOST, HOST:PORT and [HOST]:PORT. */
  private static String hostOf(String authority) {
    if (authority.startsWith("[")) {
      int end = authority.indexOf(']');
      return authority.substring(1, end < 0 ? authority.length() : end);
    }
    int colon = authority.indexOf(':');
    boolean isBare = colon < 0 || authority.indexOf(':', colon + 1) >= 0;
    return isBare ? authority : authority.substring(0, colon);
  }

  private static boolean isLoopback(String written) {
    String host = written.toLowerCase(Locale.ROOT);
    if (host.endsWith(".")) {
      host = host.substring(0, host.length() - 1);
    }
    return host.equals("localhost")
        || host.endsWith(".localhost") // RFC 6761, 6.3
        || FOUR.matcher(host).matches()
        || SIX.matcher(host).matches();
  }

  private Target() {}
}
