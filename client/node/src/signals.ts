import type { StopMode } from "./subscription-run.js";
import type { Subscriber } from "./subscriber.js";

const SIGNALS = ["SIGTERM", "SIGINT"] as const;

/**
 * Stops the subscriber at SIGTERM or SIGINT: at the first with "finish", at the second with "release"; a third ends the
 * process, as it would without this. Call what it returns when the run is over. `timeoutMs` is that of the stops.
 */
export function stopOnSignals(subscriber: Subscriber, options: { readonly timeoutMs?: number } = {}): () => void {
  const modes: StopMode[] = ["finish", "release"];
  const cancel = () => {
    for (const signal of SIGNALS) process.off(signal, onSignal);
  };
  const onSignal = () => {
    const mode = modes.shift();
    if (modes.length === 0) cancel();
    if (mode !== undefined) subscriber.stop({ ...options, mode });
  };
  for (const signal of SIGNALS) process.on(signal, onSignal);
  return cancel;
}
