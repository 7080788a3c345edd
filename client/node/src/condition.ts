/** Wakes those that wait for something to become so. */
export class Condition {
  #waiting: (() => void)[] = [];

  /** Call it whenever something may have become so. */
  notify(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const wake of waiting) wake();
  }

  /** Returns whether `isSo` came true before `signal`, whose end is to notify. */
  async until(isSo: () => boolean, signal?: AbortSignal): Promise<boolean> {
    while (!isSo()) {
      if (signal?.aborted === true) return false;
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
    return true;
  }
}
