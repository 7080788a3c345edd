import { Acknowledger } from "./acknowledger.js";
import { Backoff } from "./backoff.js";
import { Condition } from "./condition.js";
import { Connection } from "./connection.js";
import { RESUME_WINDOW_MS } from "./defaults.js";
import { Deliveries, type Delivery } from "./deliveries.js";
import { HandlersRunningError, isFinal, toGatewayError } from "./errors.js";
import { Handlers } from "./handlers.js";
import type { Started, SubscribeRequest, SubscribeResponse } from "./generated/mmsmo/v1/mms_mo_service.js";
import type { Settings } from "./options.js";
import type { FailedAck } from "./outbox.js";
import { msOf, readStreams, type Source } from "./stream-loop.js";
import { tell } from "./tell.js";
import { after, sleep } from "./time.js";
import type { Verdict } from "./verdict.js";

// How long handlers have to return once their signals are aborted, and what they said to be answered.
const WIND_DOWN_MS = 2000;

/** What becomes of what has arrived and was not begun: it is handled, or goes to others at once. */
export type StopMode = "finish" | "release";

/** Is called for each delivery; `signal` is aborted when its time is up, or when a stop takes longer than it may. */
export type Handler = (delivery: Delivery, signal: AbortSignal) => Verdict | Promise<Verdict>;

/** Those of a run so far. */
export interface Counters {
  failedAcks: number;
  failedHandlers: number;
}

/**
 * One Subscriber.run: from the stream to the handlers, and from what they say to the gateway.
 */
export class SubscriptionRun implements Source {
  readonly #settings: Settings;
  readonly #subscription: string;
  readonly #counters: Counters;
  readonly #connection: Connection;
  readonly #deliveries = new Deliveries();
  readonly #handlers: Handlers;
  readonly #acks: Acknowledger;
  readonly #streaming = new AbortController(); // of the streams
  readonly #givingUp = new AbortController(); // of run, at the end
  readonly #changed = new Condition();
  readonly #timers: NodeJS.Timeout[] = [];
  // Of the stream that is read, or was read last: what the next one resumes.
  #streamId = "";
  #frames = 0; // that arrived of it
  #isOpening = false; // its successor, which may have begun
  #isLeaving = false; // later frames do not count
  #leftId = "";
  #isSayingGoodbye = false;
  #isLoopDone = false; // with #failure
  #failure: unknown;
  #isOver = false;

  constructor(settings: Settings, subscription: string, handler: Handler, counters: Counters) {
    this.#settings = settings;
    this.#subscription = subscription;
    this.#counters = counters;
    this.#connection = new Connection(settings);
    this.#acks = new Acknowledger(
      settings,
      this.#connection,
      subscription,
      () => this.#deliveries.heldAckIds(),
      (failed) => {
        this.#onAcksFailed(failed);
      },
    );
    this.#handlers = new Handlers(settings, this.#deliveries, handler, {
      onVerdict: (delivery, verdict) => {
        this.#acks.add(verdict, delivery.ackId);
      },
      onFailed: (delivery, error) => {
        this.#onHandlerFailed(delivery, error);
      },
      onIdle: () => {
        this.#changed.notify();
      },
    });
    for (const controller of [this.#streaming, this.#givingUp]) {
      controller.signal.addEventListener("abort", () => {
        this.#changed.notify();
      });
    }
  }

  /** Called once. */
  async run(): Promise<void> {
    void this.#readStreams();
    try {
      const haveReturned = await this.#until(() => this.#isLeaving && this.#handlers.areIdle);
      this.#releaseWaiting(); // what was too doubtful to begin
      // The stream stays open until everything is answered, because its end would take the leases away.
      await this.#acks.flush(this.#givingUp.signal);
      await this.#until(() => this.#hasLeft());
      this.#streaming.abort();
      await this.#changed.until(() => this.#isLoopDone && !this.#isSayingGoodbye);
      if (this.#failure !== undefined) throw this.#failure as Error;
      if (!haveReturned) throw new HandlersRunningError();
    } finally {
      this.#isOver = true;
      for (const timer of this.#timers) clearTimeout(timer);
      this.#connection.close();
      this.#acks.close();
    }
  }

  /** Can be called again; each is a step further. */
  stop(mode: StopMode, timeoutMs: number): void {
    if (this.#isOver) return;
    this.#beginLeaving();
    if (mode === "release") this.#releaseWaiting();
    this.#after(timeoutMs, () => {
      this.#releaseWaiting();
      this.#handlers.endAll();
      this.#after(WIND_DOWN_MS, () => {
        this.#givingUp.abort();
      });
    });
  }

  get held(): number {
    return this.#deliveries.held;
  }

  nextRequest(): Partial<SubscribeRequest> {
    this.#isOpening = true;
    return {
      subscription: this.#subscription,
      maxOutstandingMessages: this.#settings.maxOutstandingMessages,
      maxOutstandingBytes: this.#settings.maxOutstandingBytes,
      ...(this.#streamId !== "" && { resumeStreamId: this.#streamId, receivedFrames: this.#frames }),
    };
  }

  /** What waits here is still this program's, but for a short time only, unless the next stream resumes this one. */
  onStreamEnd(): void {
    this.#isOpening = false;
    this.#deliveries.doubtFrom(performance.now() + RESUME_WINDOW_MS);
    this.#changed.notify();
  }

  async #readStreams(): Promise<void> {
    try {
      for await (const frame of readStreams(this.#settings, this.#connection, this, this.#streaming.signal)) {
        this.#onFrame(frame);
      }
    } catch (error) {
      this.#failure = error;
    }
    this.stop("release", this.#settings.stopTimeoutMs);
    this.#isLoopDone = true;
    this.#changed.notify();
  }

  #onFrame(frame: SubscribeResponse): void {
    if (frame.started !== undefined) {
      this.#onStarted(frame.started);
    } else if (!this.#isLeaving) {
      this.#frames++;
      if (frame.batch !== undefined) this.#deliveries.push(frame.batch.deliveries);
    }
    this.#handlers.handleWhatWaits();
  }

  #onStarted(started: Started): void {
    this.#isOpening = false;
    this.#streamId = started.streamId;
    this.#frames = 1;
    if (started.resumed) this.#deliveries.keep();
    else this.#deliveries.drain();
    this.#acks.keepLeases(msOf(started.ackDeadline));
    this.#changed.notify();
  }

  #beginLeaving(): void {
    if (this.#isLeaving) return;
    this.#isLeaving = true;
    this.#isSayingGoodbye = true;
    this.#deliveries.close();
    this.#changed.notify();
    void this.#leaveStreams();
  }

  #releaseWaiting(): void {
    this.#acks.addAll({ kind: "release" }, this.#deliveries.drain());
    this.#changed.notify();
  }

  /** Tells the gateway that nothing more is to come on the stream, nor on those that replace it. */
  async #leaveStreams(): Promise<void> {
    const streaming = this.#streaming.signal;
    const backoff = new Backoff(this.#settings);
    while (await this.#changed.until(() => this.#streamId !== this.#leftId, streaming)) {
      if (streaming.aborted) break;
      const id = this.#streamId;
      const wait = await this.#leave(id, streaming, backoff);
      if (wait === 0) this.#leftId = id;
      this.#changed.notify();
      await sleep(wait, streaming);
    }
    this.#isSayingGoodbye = false;
    this.#changed.notify();
  }

  /** Returns how long to wait before the next attempt; 0: none is needed. */
  async #leave(streamId: string, signal: AbortSignal, backoff: Backoff): Promise<number> {
    try {
      await this.#acks.leave(streamId, this.#frames, signal);
    } catch (error) {
      const failure = toGatewayError(error);
      if (!isFinal(failure)) return Math.max(1, failure.retryDelayMs + backoff.next());
    }
    backoff.reset();
    return 0;
  }

  /** Nothing is on its way. A stream that is being opened may have begun, if there is a connection. */
  #hasLeft(): boolean {
    if (this.#isLoopDone) return true;
    return this.#leftId === this.#streamId && !(this.#isOpening && this.#connection.isReady);
  }

  #onHandlerFailed(delivery: Delivery, error: unknown): void {
    this.#counters.failedHandlers++;
    this.#settings.logger.error("mmsmo: a handler failed; its event is delivered again", {
      subscription: this.#subscription,
      trackingId: delivery.event.mmsMo?.trackingId,
      attempt: delivery.attempt,
      why: error,
    });
  }

  #onAcksFailed(failed: FailedAck[]): void {
    const { logger, hooks } = this.#settings;
    this.#counters.failedAcks += failed.length;
    const about = { subscription: this.#subscription, count: failed.length, first: failed[0] };
    logger.warn("mmsmo: acknowledgements had no effect", about);
    for (const one of failed) tell(logger, () => hooks.ackFailed?.(one));
  }

  async #until(isSo: () => boolean): Promise<boolean> {
    return await this.#changed.until(isSo, this.#givingUp.signal);
  }

  #after(ms: number, call: () => void): void {
    this.#timers.push(after(ms, call));
  }
}
