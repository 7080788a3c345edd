package io.github.mmsmo.gateway;

import io.grpc.StatusRuntimeException;
import io.mmsmo.v1.AckFailure;
import io.mmsmo.v1.AckFailureReason;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * What the gateway is to be told about deliveries: gathered into calls, and kept until answered. It
 * has no I/O and no clock: its owner makes the calls and says what time it is. Not for several
 * threads.
 */
final class Outbox {
  private static final class Group {
    List<String> ackIds = new ArrayList<>(); // never none
    long due;

    Group(long due) {
      this.due = due;
    }
  }

  private final Backoff backoff;
  private final Map<Update, Group> groups = new HashMap<>();
  private long linger = Ticks.ofMillis(Defaults.ACK_LINGER_MS); // for others
  private long pausedUntil;

  Outbox(Backoff backoff) {
    this.backoff = backoff;
  }

  /** Returns whether {@link #due} has come nearer. */
  boolean add(Update update, String ackId, long now) {
    Group group = groups.get(update);
    boolean isNew = group == null;
    if (isNew) {
      group = new Group(now + linger);
      groups.put(update, group);
    }
    group.ackIds.add(ackId);
    boolean isEnough = group.ackIds.size() == Defaults.ACK_BATCH && group.due > now;
    if (isEnough) {
      group.due = now;
    }
    return isNew || isEnough;
  }

  /** Adds without waiting for others. */
  void addAll(Update update, List<String> ackIds, long now) {
    if (ackIds.isEmpty()) {
      return;
    }
    Group group = groups.computeIfAbsent(update, absent -> new Group(now));
    group.due = now;
    group.ackIds.addAll(ackIds);
  }

  /** From now on nothing waits for others. */
  void hurry(long now) {
    linger = 0;
    for (Group group : groups.values()) {
      group.due = Math.min(group.due, now);
    }
  }

  boolean isEmpty() {
    return groups.isEmpty();
  }

  /** When {@link #take} has something; {@link Ticks#NEVER} where there is nothing. */
  long due() {
    Map.Entry<Update, Group> next = next();
    return next == null ? Ticks.NEVER : Math.max(next.getValue().due, pausedUntil);
  }

  /** What is due for longest, so that no kind of update crowds out another. */
  private Map.Entry<Update, Group> next() {
    Map.Entry<Update, Group> next = null;
    for (Map.Entry<Update, Group> entry : groups.entrySet()) {
      if (next == null || entry.getValue().due < next.getValue().due) {
        next = entry;
      }
    }
    return next;
  }

  /** Returns null where nothing is due. */
  UpdateCall take(long now) {
    Map.Entry<Update, Group> next = next();
    if (next == null || next.getValue().due > now || pausedUntil > now) {
      return null;
    }
    Update update = next.getKey();
    List<String> ackIds = next.getValue().ackIds;
    if (ackIds.size() <= Defaults.MAX_ACK_IDS) {
      groups.remove(update);
      return new UpdateCall(update, ackIds);
    }
    List<String> first = ackIds.subList(0, Defaults.MAX_ACK_IDS);
    UpdateCall call = new UpdateCall(update, new ArrayList<>(first));
    first.clear();
    return call;
  }

  /** Puts back what may pass, and returns the acks and dead letters that had no effect. */
  List<FailedUpdate> onAnswer(UpdateCall call, List<AckFailure> failures, long now) {
    List<FailedUpdate> failed = new ArrayList<>();
    List<String> again = new ArrayList<>();
    for (AckFailure failure : failures) {
      if (failure.getReason() == AckFailureReason.ACK_FAILURE_REASON_TRANSIENT) {
        again.add(failure.getAckId());
      } else if (call.update.isReported()) {
        failed.add(new FailedUpdate(failure.getAckId(), whyOf(failure.getReason())));
      }
    }
    if (again.isEmpty()) {
      backoff.reset();
    } else {
      tryAgain(call.update, again, 0, now);
    }
    return failed;
  }

  /** Likewise, of a call that failed. */
  List<FailedUpdate> onError(UpdateCall call, StatusRuntimeException error, long now) {
    List<FailedUpdate> failed = new ArrayList<>();
    if (!Errors.isFinal(error)) {
      tryAgain(call.update, call.ackIds, Errors.retryDelay(error), now);
    } else if (call.update.isReported()) {
      for (String ackId : call.ackIds) {
        failed.add(new FailedUpdate(ackId, error.getStatus().getCode().name()));
      }
    }
    return failed;
  }

  /** Pauses for a time of its own, on top of what the gateway asks for. */
  private void tryAgain(Update update, List<String> ackIds, long asked, long now) {
    // Calls that were under way together fail together: that is one failure.
    if (now >= pausedUntil) {
      pausedUntil = now + asked + backoff.next();
    }
    addAll(update, ackIds, now);
  }

  private static String whyOf(AckFailureReason reason) {
    return reason == AckFailureReason.ACK_FAILURE_REASON_EXPIRED ? "EXPIRED" : "INVALID";
  }
}
