package io.github.mmsmo.gateway;

import java.io.IOException;
import java.nio.file.Path;

/**
 * What is sent with each call as {@code authorization: Bearer TOKEN}. It is called at the beginning
 * of each, by several threads, and should remember a token that is still good.
 */
@FunctionalInterface
public interface TokenSource {
  /**
   * The token of the call that begins.
   *
   * @throws IOException to fail the call, which is tried again; so does what else it throws
   */
  String get() throws IOException;

  /** Always this one. */
  static TokenSource of(String token) {
    return () -> TokenFile.checked("the token", token);
  }

  /**
   * What a file holds, without the newline that may end it. The file is read again when it changes,
   * so that a token can be exchanged; one that is broken by then changes nothing.
   */
  static TokenSource file(Path path) {
    return new TokenFile(path);
  }
}
