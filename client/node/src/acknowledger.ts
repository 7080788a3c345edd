import { Backoff } from "./backoff.js";
import type { Connection } from "./connection.js";
import { Condition } from "./condition.js";
import { ACK_CALL_TIMEOUT_MS, EXTENSIONS_PER_DEADLINE, MAX_ACKS_UNDER_WAY, MAX_ACK_IDS } from "./defaults.js";
import { toGatewayError } from "./errors.js";
import {
  AcknowledgeRequest,
  AcknowledgeResponse,
  ModifyAckDeadlineRequest,
  ModifyAckDeadlineResponse,
  type AckFailure,
} from "./generated/mmsmo/v1/mms_mo_service.js";
import type { Settings } from "./options.js";
import { Outbox, type FailedAck, type Update, type UpdateCall } from "./outbox.js";
import { durationOf } from "./stream-loop.js";
import { after } from "./time.js";

const ACKNOWLEDGE = {
  path: "/mmsmo.v1.MmsMoService/Acknowledge",
  request: AcknowledgeRequest,
  response: AcknowledgeResponse,
};
const MODIFY = {
  path: "/mmsmo.v1.MmsMoService/ModifyAckDeadline",
  request: ModifyAckDeadlineRequest,
  response: ModifyAckDeadlineResponse,
};
const TIMEOUT = { timeoutMs: ACK_CALL_TIMEOUT_MS };

/**
 * Tells the gateway what becomes of a subscription's deliveries, several calls at a time, and prolongs the leases of
 * those that are held.
 */
export class Acknowledger {
  readonly #connection: Connection;
  readonly #subscription: string;
  readonly #heldAckIds: () => string[];
  readonly #onFailed: (failed: FailedAck[]) => void;
  readonly #outbox: Outbox;
  readonly #changed = new Condition();
  #underWay = 0;
  #ackDeadlineMs = 0;
  #extendAt = Infinity;
  #timer: NodeJS.Timeout | undefined;
  #isClosed = false;

  /** `onFailed` is told what had no effect of one call. */
  constructor(
    settings: Settings,
    connection: Connection,
    subscription: string,
    heldAckIds: () => string[],
    onFailed: (failed: FailedAck[]) => void,
  ) {
    this.#connection = connection;
    this.#subscription = subscription;
    this.#heldAckIds = heldAckIds;
    this.#onFailed = onFailed;
    this.#outbox = new Outbox(new Backoff(settings));
  }

  /** Gives up what is not answered, once the connection is closed. */
  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
  }

  /** Done soon, and tried again until it is answered. */
  add(update: Update, ackId: string): void {
    if (this.#outbox.add(update, ackId, performance.now())) this.#sendWhatIsDue();
  }

  /** Done at once. */
  addAll(update: Update, ackIds: readonly string[]): void {
    this.#outbox.addAll(update, ackIds, performance.now());
    this.#sendWhatIsDue();
  }

  /** Prolongs from now on what is held, three times in each ack deadline; 0: not. */
  keepLeases(ackDeadlineMs: number): void {
    this.#ackDeadlineMs = ackDeadlineMs;
    const at = performance.now() + ackDeadlineMs / EXTENSIONS_PER_DEADLINE;
    // A stream that is replaced often must not put it off for ever.
    this.#extendAt = ackDeadlineMs > 0 ? Math.min(this.#extendAt, at) : Infinity;
    this.#sendWhatIsDue();
  }

  /** Waits until everything is answered, or `givingUp`. Updates no longer wait for others to share a call with. */
  async flush(givingUp: AbortSignal): Promise<void> {
    this.#outbox.hurry(performance.now());
    this.#sendWhatIsDue();
    const wake = () => {
      this.#changed.notify();
    };
    givingUp.addEventListener("abort", wake);
    await this.#changed.until(() => this.#underWay === 0 && this.#outbox.isEmpty, givingUp);
    givingUp.removeEventListener("abort", wake);
  }

  /** One call, which says that nothing more is to come on a stream. */
  async leave(streamId: string, receivedFrames: number, signal: AbortSignal): Promise<void> {
    const request = { ...this.#modification({ kind: "release" }, []), streamId, receivedFrames };
    await this.#connection.unary(MODIFY, request, { ...TIMEOUT, signal });
  }

  #sendWhatIsDue(): void {
    if (this.#isClosed) return;
    const now = performance.now();
    if (this.#extendAt <= now) {
      this.#extendAt = now + this.#ackDeadlineMs / EXTENSIONS_PER_DEADLINE;
      void this.#prolongLeases({ kind: "extend", byMs: this.#ackDeadlineMs });
    }
    while (this.#underWay < MAX_ACKS_UNDER_WAY) {
      const call = this.#outbox.take(now);
      if (call === undefined) break;
      void this.#exchange(call);
    }
    this.#sleepUntil(Math.min(this.#extendAt, this.#underWay < MAX_ACKS_UNDER_WAY ? this.#outbox.due : Infinity));
  }

  #sleepUntil(time: number): void {
    clearTimeout(this.#timer);
    if (time === Infinity) return;
    this.#timer = after(Math.max(time - performance.now(), 0), () => {
      this.#sendWhatIsDue();
    });
  }

  /** Makes a call, and sees to what it was answered. */
  async #exchange(call: UpdateCall): Promise<void> {
    this.#underWay++;
    let failed: FailedAck[];
    try {
      const failures = await this.#send(call);
      failed = this.#outbox.onAnswer(call, failures, performance.now());
    } catch (error) {
      failed = this.#outbox.onError(call, toGatewayError(error), performance.now());
    }
    if (failed.length > 0) this.#onFailed(failed); // before flush can return
    this.#underWay--;
    this.#sendWhatIsDue();
    this.#changed.notify();
  }

  /**
   * Beside the limit of calls under way: leases do not wait until a slow gateway has answered. Nor is it tried again:
   * the next round prolongs whatever is still here.
   */
  async #prolongLeases(update: Update): Promise<void> {
    const held = this.#heldAckIds();
    for (let begin = 0; begin < held.length && !this.#isClosed; begin += MAX_ACK_IDS) {
      await this.#send({ update, ackIds: held.slice(begin, begin + MAX_ACK_IDS) }).catch(() => {});
    }
  }

  async #send({ update, ackIds }: UpdateCall): Promise<AckFailure[]> {
    if (update.kind === "ack") {
      const request = { subscription: this.#subscription, ackIds };
      return (await this.#connection.unary(ACKNOWLEDGE, request, TIMEOUT)).failures;
    }
    return (await this.#connection.unary(MODIFY, this.#modification(update, ackIds), TIMEOUT)).failures;
  }

  #modification(update: Exclude<Update, { kind: "ack" }>, ackIds: string[]): ModifyAckDeadlineRequest {
    const subscription = this.#subscription;
    return ModifyAckDeadlineRequest.fromPartial({ subscription, ackIds, ...changeOf(update) });
  }
}

/** For every update but an ack, which has a method of its own. */
function changeOf(update: Exclude<Update, { kind: "ack" }>): Partial<ModifyAckDeadlineRequest> {
  switch (update.kind) {
    case "extend":
      return { extendBy: durationOf(update.byMs) };
    case "retry_after":
      return { redeliverAfter: durationOf(update.delayMs) };
    case "retry":
      return { retry: {} };
    case "release":
      return { release: {} };
    case "dead_letter":
      return { deadLetterReason: update.reason };
  }
}
