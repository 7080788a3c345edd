package io.github.mmsmo.gateway;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.BasicFileAttributes;
import java.util.List;

final class TokenFile implements TokenSource {
  private final Path path;
  private List<Object> seen; // of the file when it was read
  private String token; // null: not yet read

  TokenFile(Path path) {
    this.path = path;
  }

  @Override
  public synchronized String get() throws IOException {
    try {
      BasicFileAttributes now = Files.readAttributes(path, BasicFileAttributes.class);
      // A file that was renamed to this one has another key.
      List<Object> is = List.of(now.size(), now.lastModifiedTime(), String.valueOf(now.fileKey()));
      if (!is.equals(seen)) {
        token = checked(path.toString(), read());
        seen = is;
      }
    } catch (IOException e) {
      if (token == null) {
        throw e;
      }
    }
    return token;
  }

  private String read() throws IOException {
    String text = new String(Files.readAllBytes(path), StandardCharsets.ISO_8859_1);
    return text.replaceFirst("\r?\n\\z", "");
  }

  static String checked(String source, String token) throws IOException {
    if (token.isEmpty() || !token.chars().allMatch(c -> c > ' ' && c <= '~')) {
      throw new IOException(
          source + ": a token has one line of visible ASCII characters, without spaces");
    }
    return token;
  }
}
