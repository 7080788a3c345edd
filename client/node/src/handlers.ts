import type { Deliveries, Delivery } from "./deliveries.js";
import type { Settings } from "./options.js";
import type { Handler } from "./subscription-run.js";
import { after, nextTurn } from "./time.js";
import { checkVerdict, retry, type Verdict } from "./verdict.js";

// So many in a row, then input and output have their turn: acknowledgements are to leave, too.
const IN_A_TURN = 100;

interface Listener {
  /** Once for each delivery. */
  onVerdict(delivery: Delivery, verdict: Verdict): void;
  /** Before its verdict, which is a retry. */
  onFailed(delivery: Delivery, error: unknown): void;
  onIdle(): void;
}

/** Calls the handler for what waits, so many at once. */
export class Handlers {
  readonly #settings: Settings;
  readonly #deliveries: Deliveries;
  readonly #handler: Handler;
  readonly #listener: Listener;
  readonly #takesSignal: boolean;
  readonly #all = new AbortController(); // for those that take none
  readonly #signals = new Set<AbortController>(); // of those that run
  #workers = 0;

  constructor(settings: Settings, deliveries: Deliveries, handler: Handler, listener: Listener) {
    this.#settings = settings;
    this.#deliveries = deliveries;
    this.#handler = handler;
    this.#listener = listener;
    this.#takesSignal = settings.maxHandlerTimeMs > 0 || handler.length !== 1;
  }

  /** To be called when there may be more. */
  handleWhatWaits(): void {
    while (this.#workers < this.#settings.concurrency) {
      const delivery = this.#deliveries.take(performance.now());
      if (delivery === undefined) break;
      this.#workers++;
      void this.#work(delivery);
    }
  }

  /** Nothing is handled. */
  get areIdle(): boolean {
    return this.#workers === 0;
  }

  /** Aborts the signals of those that run, and of those that begin from now on. */
  endAll(): void {
    this.#all.abort();
    for (const controller of this.#signals) controller.abort();
  }

  async #work(first: Delivery): Promise<void> {
    let count = 0;
    for (let delivery: Delivery | undefined = first; delivery !== undefined;) {
      await this.#handle(delivery);
      if (++count % IN_A_TURN === 0) await nextTurn();
      delivery = this.#deliveries.take(performance.now());
    }
    this.#workers--;
    if (this.areIdle) this.#listener.onIdle();
  }

  async #handle(delivery: Delivery): Promise<void> {
    const controller = this.#takesSignal ? this.#begin() : this.#all;
    const ceiling = this.#limit(delivery, controller);
    try {
      const verdict = checkVerdict(await this.#call(delivery, controller.signal));
      if (this.#deliveries.finish(delivery)) this.#listener.onVerdict(delivery, verdict);
    } catch (error) {
      this.#fail(delivery, error);
    }
    clearTimeout(ceiling);
    this.#signals.delete(controller);
  }

  /** Not for a handler that takes only a delivery: a signal costs a tenth of what an event does. */
  #begin(): AbortController {
    const controller = new AbortController();
    if (this.#all.signal.aborted) controller.abort();
    this.#signals.add(controller);
    return controller;
  }

  async #call(delivery: Delivery, signal: AbortSignal): Promise<Verdict> {
    const { hooks } = this.#settings;
    if (hooks.handling === undefined) return await this.#handler(delivery, signal);
    // It is to see what the handler's failure is, also of one that is not async.
    return await hooks.handling(delivery, async () => checkVerdict(await this.#handler(delivery, signal)));
  }

  /** A handler that does not heed its signal keeps its place, but not its delivery. */
  #limit(delivery: Delivery, controller: AbortController): NodeJS.Timeout | undefined {
    const { maxHandlerTimeMs } = this.#settings;
    if (maxHandlerTimeMs === 0) return undefined;
    return after(maxHandlerTimeMs, () => {
      this.#fail(delivery, new Error("the handler is over its time"));
      controller.abort();
    });
  }

  #fail(delivery: Delivery, error: unknown): void {
    if (!this.#deliveries.finish(delivery)) return;
    this.#listener.onFailed(delivery, error);
    this.#listener.onVerdict(delivery, retry());
  }
}
