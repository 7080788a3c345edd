/** The bounds of a wait between two attempts, in milliseconds. */
export interface BackoffBounds {
  readonly minBackoffMs: number;
  readonly maxBackoffMs: number;
}

/**
 * How long to wait before the next attempt: exponential, with full jitter, so that the subscribers of a gateway that
 * restarts do not come back all at once.
 */
export class Backoff {
  readonly #bounds: BackoffBounds;
  readonly #random: () => number;
  #ceiling = 0;

  /** `random` gives numbers in [0, 1). */
  constructor(bounds: BackoffBounds, random: () => number = Math.random) {
    this.#bounds = bounds;
    this.#random = random;
    this.reset();
  }

  /** Milliseconds, between nothing and a ceiling that doubles with each call. */
  next(): number {
    const wait = this.#random() * this.#ceiling;
    this.#ceiling = Math.min(2 * this.#ceiling, this.#bounds.maxBackoffMs);
    return wait;
  }

  /** After a success. */
  reset(): void {
    this.#ceiling = Math.min(this.#bounds.minBackoffMs, this.#bounds.maxBackoffMs);
  }
}
