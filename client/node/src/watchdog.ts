import { after } from "./time.js";

// A program that was held up, by a handler that computes or by being stopped, finds its timer over before it has read
// what arrived meanwhile.
const LATE_MS = 10;
const GRACE_MS = 100;

/** Barks when nothing came for too long. */
export class Watchdog {
  readonly #bark: () => void;
  #timer: NodeJS.Timeout | undefined;
  #due = 0;

  constructor(bark: () => void) {
    this.#bark = bark;
  }

  watch(silenceMs: number): void {
    this.rest();
    this.#due = performance.now() + silenceMs;
    this.#timer = after(silenceMs, () => {
      if (performance.now() - this.#due > LATE_MS) this.watch(GRACE_MS);
      else this.#bark();
    });
  }

  rest(): void {
    clearTimeout(this.#timer);
  }
}
