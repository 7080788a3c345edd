import { GatewayError } from "./errors.js";

// A longer one would end at once.
const LONGEST_TIMEOUT_MS = 2 ** 31 - 1;

/** As setTimeout, but for any length. */
export function after(ms: number, call: () => void): NodeJS.Timeout {
  return setTimeout(call, Math.min(ms, LONGEST_TIMEOUT_MS));
}

/** Ends early with the signal, and does not fail. */
export async function sleep(ms: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  await new Promise<void>((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    };
    const timer = after(ms, done);
    signal.addEventListener("abort", done);
  });
}

/** What `promise` gives, or the failure CANCELLED when the signal ends first. */
export async function orAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  let onAbort = () => {};
  const aborted = new Promise<never>((_, reject) => {
    onAbort = () => {
      reject(new GatewayError("CANCELLED", "it was given up"));
    };
  });
  signal.addEventListener("abort", onAbort);
  if (signal.aborted) onAbort();
  try {
    return await Promise.race([aborted, promise]);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}

/** Lets input and output have their turn. */
export function nextTurn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}
