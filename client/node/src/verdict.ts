import { inspect } from "node:util";

/** What a handler says of a delivery; made by `ack`, `retry`, `retryAfter` and `deadLetter`. */
export type Verdict =
  | { readonly kind: "ack" }
  | { readonly kind: "retry" }
  | { readonly kind: "retry_after"; readonly delayMs: number }
  | { readonly kind: "dead_letter"; readonly reason: string };

const ACK: Verdict = Object.freeze({ kind: "ack" });
const RETRY: Verdict = Object.freeze({ kind: "retry" });
// As long as the contract can say.
const LONGEST_DELAY_MS = 315_576_000_000_000;

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
  return { kind: "retry_after", delayMs: Math.round(Math.min(Math.max(0, delayMs), LONGEST_DELAY_MS)) };
}

/** Do not deliver it again. It becomes a dead letter, which says `reason`. */
export function deadLetter(reason: string): Verdict {
  return { kind: "dead_letter", reason };
}

/** Of what a handler in JavaScript may have returned instead; throws where it is none. */
export function checkVerdict(said: Verdict | null | undefined): Verdict {
  switch (said?.kind) {
    case "ack":
    case "retry":
      return said;
    case "retry_after":
      if (Number.isFinite(said.delayMs)) return said;
      break;
    case "dead_letter":
      if (typeof said.reason === "string") return said;
  }
  throw new TypeError(`a handler returns ack(), retry(), retryAfter(ms) or deadLetter(reason), not ${inspect(said)}`);
}
