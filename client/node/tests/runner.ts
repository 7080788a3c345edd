// Is driven by the conformance scenario that all clients share: commands on standard input, events on standard output,
// a JSON object a line.
import { createInterface } from "node:readline";

import {
  CursorExpiredError,
  GatewayError,
  Subscriber,
  ack,
  afterCursor,
  deadLetter,
  defaults,
  fromEarliest,
  fromLatest,
  retry,
  retryAfter,
  type Delivery,
  type Event,
  type Hooks,
  type StopMode,
  type SubscriberOptions,
  type Verdict,
} from "@mmsmo/gateway-client";

interface Rule {
  id?: string;
  attempt?: number;
  verdict?: "ack" | "retry" | "retry_after" | "dead_letter" | "throw" | "exit";
  after_ms?: number;
  reason?: string;
  work_ms?: number;
  hold?: boolean;
}

interface Command {
  do: "defaults" | "run" | "follow" | "measure" | "stop" | "go";
  subscription?: string;
  start?: { boundary?: string; cursor?: string };
  target?: string;
  plan?: Rule[];
  options?: Record<string, string | number>;
  mode?: StopMode;
  timeout_ms?: number;
  count?: number;
}

const EXIT_OF_HANDLER = 3;

function say(event: string, about: object = {}): void {
  process.stdout.write(`${JSON.stringify({ event, ...about })}\n`);
}

// What handlers that hold wait for, until they are let go for good.
const held = new AbortController();

/** Returns whether the handler was told to end before it was done. */
async function work(rule: Rule, signal: AbortSignal): Promise<boolean> {
  if (rule.hold === true) await either(held.signal, signal);
  if (rule.work_ms !== undefined) await either(AbortSignal.timeout(rule.work_ms), signal);
  return signal.aborted;
}

async function either(...signals: AbortSignal[]): Promise<void> {
  const any = AbortSignal.any(signals);
  const alive = setInterval(() => {}, 1000); // which a signal's own timer does not keep it
  while (!any.aborted) {
    await new Promise((resolve) => {
      any.addEventListener("abort", resolve, { once: true });
    });
  }
  clearInterval(alive);
}

/** One run or follow, and what its handler does. */
class Scene {
  readonly #plan: Rule[];

  constructor(plan: Rule[]) {
    this.#plan = plan;
  }

  readonly hooks: Hooks = {
    connected: () => {
      say("connected");
    },
    disconnected: ({ code }) => {
      say("disconnected", { code });
    },
    caughtUp: () => {
      say("caught_up");
    },
    ackFailed: ({ why }) => {
      say("ack_failed", { why });
    },
  };

  async handle({ event, attempt }: Pick<Delivery, "event" | "attempt">, signal: AbortSignal): Promise<Verdict> {
    const id = event.mmsMo?.trackingId ?? "";
    say("begin", { id, attempt });
    const rule = this.#ruleFor(id, attempt);
    const isTold = await work(rule, signal);
    if (isTold) say("told", { id });
    const said = isTold ? "retry" : (rule.verdict ?? "ack");
    if (said === "exit") process.exit(EXIT_OF_HANDLER);
    say("end", { id, attempt, verdict: said });
    switch (said) {
      case "throw":
        throw new Error("thrown as planned");
      case "retry":
        return retry();
      case "retry_after":
        return retryAfter(rule.after_ms ?? 0);
      case "dead_letter":
        return deadLetter(rule.reason ?? "");
      case "ack":
        return ack();
    }
  }

  async follow(event: Event, signal: AbortSignal): Promise<void> {
    await this.handle({ event, attempt: 0 }, signal);
  }

  #ruleFor(id: string, attempt: number): Rule {
    return this.#plan.find((rule) => (rule.id ?? id) === id && (rule.attempt ?? attempt) === attempt) ?? {};
  }
}

function optionsOf(command: Command, hooks: Hooks): SubscriberOptions {
  const camel = (name: string) => name.replace(/_(.)/g, (_, letter: string) => letter.toUpperCase());
  const options = Object.entries(command.options ?? {}).map(([name, value]) => [camel(name), value]);
  return { ...(Object.fromEntries(options) as object), target: command.target ?? "", hooks };
}

function startOf({ boundary, cursor }: NonNullable<Command["start"]>) {
  if (cursor !== undefined) return afterCursor(cursor);
  return boundary === "LATEST" ? fromLatest() : fromEarliest();
}

function sayEnd(error: unknown, cursor: string): void {
  let code = "OK";
  if (error !== undefined) code = error instanceof GatewayError ? error.code : "INTERNAL";
  const earliest_cursor = error instanceof CursorExpiredError ? error.earliestCursor : "";
  say("ended", { code, cursor, earliest_cursor });
}

async function run(command: Command, subscriber: Subscriber, scene: Scene): Promise<void> {
  let error: unknown;
  try {
    if (command.do === "run") {
      await subscriber.run(command.subscription ?? "", (delivery, signal) => scene.handle(delivery, signal));
    } else {
      await subscriber.follow(startOf(command.start ?? {}), (event, signal) => scene.follow(event, signal));
    }
  } catch (thrown) {
    error = thrown;
  }
  sayEnd(error, subscriber.cursor);
}

const subscribers: Subscriber[] = [];

function begin(command: Command): void {
  const scene = new Scene(command.plan ?? []);
  try {
    const subscriber = new Subscriber(optionsOf(command, scene.hooks));
    subscribers.push(subscriber);
    void run(command, subscriber, scene);
  } catch (error) {
    sayEnd(error, "");
  }
}

async function measure(command: Command): Promise<void> {
  const subscriber = new Subscriber(optionsOf(command, {}));
  let handled = 0;
  const begin = performance.now();
  // eslint-disable-next-line @typescript-eslint/require-await -- as most handlers are
  await subscriber.run(command.subscription ?? "", async ({ attempt }) => {
    if (attempt > 1) throw new Error("it comes again");
    if (++handled === command.count) subscriber.stop({ mode: "finish" });
    return ack();
  });
  say("measured", { code: "OK", seconds: (performance.now() - begin) / 1000 });
}

function stop(mode: StopMode, timeoutMs: number): void {
  for (const subscriber of subscribers) subscriber.stop({ mode, timeoutMs });
}

for await (const line of createInterface({ input: process.stdin })) {
  const command = JSON.parse(line) as Command;
  switch (command.do) {
    case "defaults":
      say("defaults", Object.fromEntries(Object.entries(defaults).map(([name, value]) => [name.toLowerCase(), value])));
      break;
    case "run":
    case "follow":
      begin(command);
      break;
    case "measure":
      await measure(command);
      break;
    case "stop":
      stop(command.mode ?? "release", command.timeout_ms ?? defaults.STOP_TIMEOUT_MS);
      break;
    case "go":
      held.abort();
      break;
  }
}
stop("release", defaults.STOP_TIMEOUT_MS); // and when its runs have ended, so does the program
