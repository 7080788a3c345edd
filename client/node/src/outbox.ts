import type { Backoff } from "./backoff.js";
import { ACK_BATCH, ACK_LINGER_MS, MAX_ACK_IDS } from "./defaults.js";
import { isFinal, type GatewayError } from "./errors.js";
import { AckFailureReason, type AckFailure } from "./generated/mmsmo/v1/mms_mo_service.js";
import type { Verdict } from "./verdict.js";

/** One change of a delivery's state; "extend" and "release" are said by no handler. */
export type Update = Verdict | { readonly kind: "extend"; readonly byMs: number } | { readonly kind: "release" };

/** At most MAX_ACK_IDS. */
export interface UpdateCall {
  readonly update: Update;
  readonly ackIds: string[];
}

/** An ack or a dead letter that had no effect. */
export interface FailedAck {
  readonly ackId: string;
  /**
   * "EXPIRED": the event is delivered again, or was already. "INVALID": the gateway does not know the ackId. Else the
   * code that the call failed with for good.
   */
  readonly why: "EXPIRED" | "INVALID" | GatewayError["code"];
}

interface Group {
  readonly update: Update;
  ackIds: string[]; // never none
  due: number;
}

/**
 * What the gateway is to be told about deliveries: gathered into calls, and kept until answered. No I/O and no clock:
 * its owner makes the calls and says what time it is, in milliseconds.
 */
export class Outbox {
  readonly #backoff: Backoff;
  readonly #groups = new Map<string, Group>();
  #lingerMs = ACK_LINGER_MS; // how long updates wait for others
  #pausedUntil = -Infinity;

  constructor(backoff: Backoff) {
    this.#backoff = backoff;
  }

  /** Returns whether `due` has come nearer. */
  add(update: Update, ackId: string, now: number): boolean {
    const key = keyOf(update);
    const group = this.#groups.get(key);
    if (group === undefined) {
      this.#groups.set(key, { update, ackIds: [ackId], due: now + this.#lingerMs });
      return true;
    }
    group.ackIds.push(ackId);
    if (group.ackIds.length !== ACK_BATCH || group.due <= now) return false;
    group.due = now;
    return true;
  }

  /** Adds without waiting for others. */
  addAll(update: Update, ackIds: readonly string[], now: number): void {
    if (ackIds.length === 0) return;
    const key = keyOf(update);
    const group = this.#groups.get(key);
    const together = group === undefined ? [...ackIds] : group.ackIds.concat(ackIds);
    this.#groups.set(key, { update, ackIds: together, due: now });
  }

  /** From now on nothing waits for others. */
  hurry(now: number): void {
    this.#lingerMs = 0;
    for (const group of this.#groups.values()) group.due = Math.min(group.due, now);
  }

  get isEmpty(): boolean {
    return this.#groups.size === 0;
  }

  /** When `take` has something; Infinity where there is nothing. */
  get due(): number {
    return Math.max(this.#next()?.due ?? Infinity, this.#pausedUntil);
  }

  take(now: number): UpdateCall | undefined {
    const group = this.#next();
    if (group === undefined || group.due > now || this.#pausedUntil > now) return undefined;
    const ackIds = group.ackIds.slice(0, MAX_ACK_IDS);
    if (group.ackIds.length === ackIds.length) this.#groups.delete(keyOf(group.update));
    else group.ackIds = group.ackIds.slice(MAX_ACK_IDS);
    return { update: group.update, ackIds };
  }

  /** For a call that was answered. Puts back what may pass, and returns what had no effect. */
  onAnswer(call: UpdateCall, failures: readonly AckFailure[], now: number): FailedAck[] {
    const again: string[] = [];
    const failed: FailedAck[] = [];
    for (const { ackId, reason } of failures) {
      if (reason === AckFailureReason.ACK_FAILURE_REASON_TRANSIENT) again.push(ackId);
      else if (isReported(call.update)) failed.push({ ackId, why: whyOf(reason) });
    }
    if (again.length > 0) this.#tryAgain(call.update, again, 0, now);
    else this.#backoff.reset();
    return failed;
  }

  /** For a call that failed. Likewise. */
  onError(call: UpdateCall, error: GatewayError, now: number): FailedAck[] {
    if (!isFinal(error)) {
      this.#tryAgain(call.update, call.ackIds, error.retryDelayMs, now);
      return [];
    }
    return isReported(call.update) ? call.ackIds.map((ackId) => ({ ackId, why: error.code })) : [];
  }

  /** What is due for longest, so that no kind of update crowds out another. */
  #next(): Group | undefined {
    let next: Group | undefined;
    for (const group of this.#groups.values()) {
      if (next === undefined || group.due < next.due) next = group;
    }
    return next;
  }

  /** Pauses for a time of its own, on top of what the gateway asks for. */
  #tryAgain(update: Update, ackIds: readonly string[], askedMs: number, now: number): void {
    // Calls that were under way together fail together: that is one failure.
    if (now >= this.#pausedUntil) this.#pausedUntil = now + askedMs + this.#backoff.next();
    this.addAll(update, ackIds, now);
  }
}

/** Equal updates share a call. */
function keyOf(update: Update): string {
  switch (update.kind) {
    case "extend":
      return `extend ${update.byMs.toString()}`;
    case "retry_after":
      return `retry_after ${update.delayMs.toString()}`;
    case "dead_letter":
      return `dead_letter ${update.reason}`;
    default:
      return update.kind;
  }
}

/** That another update had no effect harms nobody, since its event is delivered again anyway. */
function isReported(update: Update): boolean {
  return update.kind === "ack" || update.kind === "dead_letter";
}

function whyOf(reason: AckFailureReason): "EXPIRED" | "INVALID" {
  return reason === AckFailureReason.ACK_FAILURE_REASON_EXPIRED ? "EXPIRED" : "INVALID";
}
