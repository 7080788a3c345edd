import { FollowRun, type EventHandler } from "./follow-run.js";
import type { Event, StartPosition } from "./generated/mmsmo/v1/event.js";
import { settingsOf, type Settings, type SubscriberOptions } from "./options.js";
import { SubscriptionRun, type Counters, type Handler, type StopMode } from "./subscription-run.js";

export interface StopOptions {
  /** By default "finish". */
  readonly mode?: StopMode;
  /** Milliseconds; by default `stopTimeoutMs` of the subscriber. */
  readonly timeoutMs?: number;
}

/** Those of a run so far. */
export interface Stats extends Readonly<Counters> {
  /** How many deliveries wait here or are in a handler. */
  readonly held: number;
}

/** Receives events. One of `run` and `follow` is called, once. */
export class Subscriber {
  readonly #settings: Settings;
  readonly #counters: Counters = { failedAcks: 0, failedHandlers: 0 };
  #isUsed = false;
  #isStopped = false;
  #run: SubscriptionRun | undefined;
  #follow: FollowRun | undefined;

  /** Throws a GatewayError that names an option that is wrong. */
  constructor(options: SubscriberOptions) {
    this.#settings = settingsOf(options);
  }

  /**
   * Calls `handler` for each delivery of a named subscription, and tells the gateway what it returns, in batches, again
   * until that is answered. A handler that throws is a retry, logged and counted. An event can come more than once:
   * whoever has a lease that ended shares it with another. Leases are prolonged while a delivery waits here or is
   * handled, as long as handlers leave the event loop its turns. Streams are replaced, each resuming the one before, so
   * that a lost connection costs no delivery and no attempt.
   *
   * Returns after a stop. Fails with why it makes no sense to try again: a GatewayError of code INVALID_ARGUMENT,
   * NOT_FOUND, PERMISSION_DENIED, UNIMPLEMENTED, FAILED_PRECONDITION, OUT_OF_RANGE, or UNAUTHENTICATED, unless there is
   * another token by then; or with a HandlersRunningError where handlers ignored their signals.
   */
  async run(subscription: string, handler: Handler): Promise<void> {
    this.#use();
    if (this.#isStopped) return;
    const run = new SubscriptionRun(this.#settings, subscription, handler, this.#counters);
    this.#run = run;
    await this.#untilSignal(() => run.run());
  }

  /**
   * Calls `handler` for each event from `start` on, one after the other. A stream that is replaced begins after the last
   * event that was handed over. Returns after a stop. Fails with what the handler threw, `cursor` before its event, a
   * CursorExpiredError where the position is no longer retained, or a GatewayError as `run`.
   */
  follow(start: StartPosition, handler: EventHandler): Promise<void>;
  /**
   * The same for a loop. An event counts as handled, for `cursor`, when the loop asks for the next one.
   *
   *     for await (const event of subscriber.follow(fromEarliest())) await book(event);
   */
  follow(start: StartPosition): AsyncGenerator<Event, void, undefined>;
  follow(start: StartPosition, handler?: EventHandler): Promise<void> | AsyncGenerator<Event, void, undefined> {
    if (handler === undefined) return this.#events(start);
    return this.#followWith(start, handler);
  }

  /**
   * Lets the run end, and returns at once: nothing more begins that has not arrived, handlers finish, what they say is
   * acknowledged, and nothing is delivered twice because of it. After `timeoutMs` what was not begun is released, and
   * the signals of handlers are aborted; `run` returns at the latest two seconds later. Can be called again, to release
   * what "finish" would handle, or for an earlier end. Before a run, the run ends as it begins.
   */
  stop(options: StopOptions = {}): void {
    const { mode = "finish", timeoutMs = this.#settings.stopTimeoutMs } = options;
    this.#isStopped = true;
    this.#run?.stop(mode, timeoutMs);
    this.#follow?.stop(timeoutMs);
  }

  /**
   * The position of what `follow` has handed over: afterCursor(cursor) goes on from here. Empty before the first frame,
   * and with a named subscription.
   */
  get cursor(): string {
    return this.#follow?.cursor ?? "";
  }

  get stats(): Stats {
    return { ...this.#counters, held: this.#run?.held ?? 0 };
  }

  async *#events(start: StartPosition): AsyncGenerator<Event, void, undefined> {
    const follow = this.#beginFollowing(start);
    const stopListening = this.#listen();
    try {
      yield* follow?.events() ?? [];
    } finally {
      stopListening();
    }
  }

  async #followWith(start: StartPosition, handler: EventHandler): Promise<void> {
    const follow = this.#beginFollowing(start);
    await this.#untilSignal(async () => follow?.run(handler));
  }

  #beginFollowing(start: StartPosition): FollowRun | undefined {
    this.#use();
    if (!this.#isStopped) this.#follow = new FollowRun(this.#settings, start);
    return this.#follow;
  }

  #use(): void {
    if (this.#isUsed) throw new Error("a Subscriber runs once");
    this.#isUsed = true;
    if (this.#settings.signal?.aborted === true) this.#isStopped = true;
  }

  async #untilSignal(run: () => Promise<void>): Promise<void> {
    const stopListening = this.#listen();
    try {
      await run();
    } finally {
      stopListening();
    }
  }

  #listen(): () => void {
    const { signal } = this.#settings;
    const stop = () => {
      this.stop({ mode: "release" });
    };
    signal?.addEventListener("abort", stop);
    return () => signal?.removeEventListener("abort", stop);
  }
}
