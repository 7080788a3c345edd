package io.github.mmsmo.gateway;

import java.util.ResourceBundle;
import java.util.concurrent.atomic.AtomicInteger;

/** A logger that counts. */
final class Silence implements System.Logger {
  final AtomicInteger lines = new AtomicInteger();

  @Override
  public String getName() {
    return "silence";
  }

  @Override
  public boolean isLoggable(Level level) {
    return true;
  }

  @Override
  public void log(Level level, ResourceBundle bundle, String text, Throwable thrown) {
    lines.incrementAndGet();
  }

  @Override
  public void log(Level level, ResourceBundle bundle, String format, Object... values) {
    lines.incrementAndGet();
  }
}
