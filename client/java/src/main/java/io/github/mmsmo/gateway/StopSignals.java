package io.github.mmsmo.gateway;

import java.lang.reflect.InvocationHandler;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Proxy;
import java.time.Duration;
import java.util.HashMap;
import java.util.Map;

/**
 * Has signals stop a subscriber, until it is closed. By reflection, since Java has signals only in
 * {@code sun.misc}, which a compiler warns of whatever it is told.
 */
final class StopSignals {
  private final Subscriber subscriber;
  private final Duration timeout;
  private final Map<Object, Object> before = new HashMap<>(); // handlers, by signal
  private int signals;

  StopSignals(Subscriber subscriber, boolean isWanted, Duration timeout) {
    this.subscriber = subscriber;
    this.timeout = timeout;
    if (isWanted) {
      install();
    }
  }

  private synchronized void install() {
    // What is no signal is a method of Object.
    InvocationHandler handler =
        (proxy, method, arguments) ->
            method.getName().equals("handle") ? onSignal() : method.invoke(this, arguments);
    Class<?> type = classOf("sun.misc.SignalHandler");
    Object receiver = Proxy.newProxyInstance(type.getClassLoader(), new Class<?>[] {type}, handler);
    for (String name : new String[] {"TERM", "INT"}) {
      Object signal = newSignal(name);
      before.put(signal, handle(signal, receiver));
    }
  }

  private synchronized Void onSignal() {
    ++signals;
    subscriber.stop(signals == 1 ? StopMode.FINISH : StopMode.RELEASE, timeout);
    if (signals == 2) {
      close();
    }
    return null;
  }

  synchronized void close() {
    before.forEach(StopSignals::handle);
    before.clear();
  }

  private static Class<?> classOf(String name) {
    try {
      return Class.forName(name);
    } catch (ClassNotFoundException e) {
      throw new UnsupportedOperationException("this Java has no signals", e);
    }
  }

  private static Object newSignal(String name) {
    try {
      return classOf("sun.misc.Signal").getConstructor(String.class).newInstance(name);
    } catch (ReflectiveOperationException e) {
      throw unsupported(e);
    }
  }

  /** Returns the handler that there was. */
  private static Object handle(Object signal, Object handler) {
    try {
      return signal
          .getClass()
          .getMethod("handle", signal.getClass(), classOf("sun.misc.SignalHandler"))
          .invoke(null, signal, handler);
    } catch (ReflectiveOperationException e) {
      throw unsupported(e);
    }
  }

  private static UnsupportedOperationException unsupported(ReflectiveOperationException e) {
    Throwable why = e instanceof InvocationTargetException ? e.getCause() : e;
    return new UnsupportedOperationException("this Java takes no signals: " + why, why);
  }
}
