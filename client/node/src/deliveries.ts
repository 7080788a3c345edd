import type { Event } from "./generated/mmsmo/v1/event.js";
import type { Delivery as Received } from "./generated/mmsmo/v1/mms_mo_service.js";

/** One hand-over of one event. */
export interface Delivery {
  readonly event: Event;
  /** Counts deliveries, from 1. */
  readonly attempt: number;
  /** Names the delivery to the gateway, and in `Hooks.ackFailed`. */
  readonly ackId: string;
}

/**
 * The deliveries that this program holds: those that wait for a handler, and those in one. No clock: its owner says
 * what time it is, in milliseconds.
 */
export class Deliveries {
  readonly #handling = new Set<Delivery>();
  #frames: Delivery[][] = []; // of which some wait, none empty
  #next = 0; // the first of the first frame that waits
  #waiting = 0;
  #doubtAt = Infinity;
  #closed = false;

  /** Takes a frame as a whole; nothing of it after close. */
  push(frame: readonly Received[]): void {
    if (this.#closed) return;
    const wanted = frame.filter((delivery): delivery is Received & Delivery => delivery.event !== undefined);
    if (wanted.length === 0) return;
    this.#frames.push(wanted);
    this.#waiting += wanted.length;
  }

  /** The next that may begin. */
  take(now: number): Delivery | undefined {
    if (now >= this.#doubtAt) return undefined;
    const frame = this.#frames[0];
    const taken = frame?.[this.#next];
    if (frame === undefined || taken === undefined) return undefined;
    this.#next++;
    if (this.#next === frame.length) {
      this.#frames.shift();
      this.#next = 0;
    }
    this.#waiting--;
    this.#handling.add(taken);
    return taken;
  }

  /** Returns whether what was taken was still held; it is not any more. */
  finish(taken: Delivery): boolean {
    return this.#handling.delete(taken);
  }

  /** Forgets what waits, and returns its ack ids. */
  drain(): string[] {
    const ackIds = this.#waitingAckIds();
    this.#frames = [];
    this.#next = 0;
    this.#waiting = 0;
    this.#doubtAt = Infinity;
    return ackIds;
  }

  /**
   * For the end of a stream: unless keep is called before, nothing of what waits begins after that time, since the
   * gateway may have given it to others.
   */
  doubtFrom(time: number): void {
    this.#doubtAt = Math.min(this.#doubtAt, time);
  }

  /** For a stream that has resumed the one before: what waits is this program's. */
  keep(): void {
    this.#doubtAt = Infinity;
  }

  /** Nothing more is pushed; what waits can still be taken. */
  close(): void {
    this.#closed = true;
  }

  /** How many wait or are in a handler. */
  get held(): number {
    return this.#waiting + this.#handling.size;
  }

  heldAckIds(): string[] {
    const ackIds = this.#waitingAckIds();
    for (const delivery of this.#handling) ackIds.push(delivery.ackId);
    return ackIds;
  }

  #waitingAckIds(): string[] {
    const ackIds: string[] = [];
    this.#frames.forEach((frame, i) => {
      for (let next = i === 0 ? this.#next : 0; next < frame.length; next++) {
        const delivery = frame[next];
        if (delivery !== undefined) ackIds.push(delivery.ackId);
      }
    });
    return ackIds;
  }
}
