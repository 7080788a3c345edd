/** What a handler says of a delivery; made by `ack`, `retry`, `retryAfter` and `deadLetter`. */
export type Verdict =
  | { readonly kind: "ack" }
  | { readonly kind: "retry" }
  | { readonly kind: "retry_after"; readonly delayMs: number }
  | { readonly kind: "dead_letter"; readonly reason: string };

const ACK: Verdict = Object.freeze({ kind: "ack" });
const RETRY: Verdict = Object.freeze({ kind: "retry" });
const KINDS: ReadonlySet<string> = new Set(["ack", "retry", "retry_after", "dead_letter"]);

/** The event is done with. */
export function ack(): Verdict {
  return ACK;
}

/** Deliver it again after the backoff that the subscription's retry policy has for this attempt. */
export function retry(): Verdict {
  return RETRY;
}

/** Deliver it again after so many milliseconds; 0 or less: at once. */
export function retryAfter(delayMs: number): Verdict {
  if (Number.isNaN(delayMs)) throw new RangeError("retryAfter: the delay is not a number");
  return { kind: "retry_after", delayMs: Math.max(0, Math.round(delayMs)) };
}

/** Do not deliver it again. It becomes a dead letter, which says `reason`. */
export function deadLetter(reason: string): Verdict {
  return { kind: "dead_letter", reason };
}

/** Of what a handler in JavaScript may have returned instead; throws where it is none. */
export function checkVerdict(said: unknown): Verdict {
  if (typeof said === "object" && said !== null && "kind" in said && KINDS.has(said.kind as string)) {
    return said as Verdict;
  }
  throw new TypeError(`a handler returns ack(), retry(), retryAfter() or deadLetter(), not ${String(said)}`);
}
