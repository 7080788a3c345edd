package io.github.mmsmo.gateway;

/** What becomes of what has arrived and was not begun when a {@link Subscriber} is stopped. */
public enum StopMode {
  /** It is handled. */
  FINISH,
  /** It goes back to the gateway, which delivers it to others at once. */
  RELEASE
}
