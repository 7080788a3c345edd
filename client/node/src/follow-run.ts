import { Connection } from "./connection.js";
import type { Event, StartPosition } from "./generated/mmsmo/v1/event.js";
import { Filter } from "./generated/mmsmo/v1/event.js";
import type { SubscribeRequest } from "./generated/mmsmo/v1/mms_mo_service.js";
import type { Settings } from "./options.js";
import { afterCursor } from "./start.js";
import { readStreams, type Source } from "./stream-loop.js";
import { after } from "./time.js";

/** Is called for each event, in order. Its failure ends what follows. */
export type EventHandler = (event: Event, signal: AbortSignal) => void | Promise<void>;

/** One Subscriber.follow: hands events over, and remembers where it is. */
export class FollowRun implements Source {
  readonly #settings: Settings;
  readonly #start: StartPosition;
  readonly #stopping = new AbortController(); // of the streams
  readonly #ending = new AbortController(); // of the handler
  readonly #timers: NodeJS.Timeout[] = [];
  #cursor = "";
  #isOver = false;

  constructor(settings: Settings, start: StartPosition) {
    this.#settings = settings;
    this.#start = start;
  }

  /** Each counts as handled when the next one is asked for. Called once. */
  async *events(): AsyncGenerator<Event, void, undefined> {
    const connection = new Connection(this.#settings);
    try {
      for await (const frame of readStreams(this.#settings, connection, this, this.#stopping.signal)) {
        for (const { event } of frame.batch?.deliveries ?? []) {
          if (this.#stopping.signal.aborted) return; // the rest of the frame is not handed over
          if (event === undefined) continue;
          yield event;
          this.#cursor = event.cursor;
        }
        if (frame.cursor !== "") this.#cursor = frame.cursor; // which filtered events may have moved on
      }
    } finally {
      this.#isOver = true;
      for (const timer of this.#timers) clearTimeout(timer);
      connection.close();
    }
  }

  async run(handler: EventHandler): Promise<void> {
    for await (const event of this.events()) await handler(event, this.#ending.signal);
  }

  /** In either mode the handler that is running finishes, and no other begins. */
  stop(timeoutMs: number): void {
    if (this.#isOver) return;
    this.#stopping.abort();
    this.#timers.push(
      after(timeoutMs, () => {
        this.#ending.abort();
      }),
    );
  }

  /** Empty before the first frame. */
  get cursor(): string {
    return this.#cursor;
  }

  nextRequest(): Partial<SubscribeRequest> {
    return {
      startPosition: this.#cursor === "" ? this.#start : afterCursor(this.#cursor),
      ...(this.#settings.filter && { filter: Filter.fromPartial(this.#settings.filter) }),
    };
  }
}
