import type { ChannelOptions } from "@grpc/grpc-js";

import * as defaults from "./defaults.js";
import type { Delivery } from "./deliveries.js";
import { invalidOption, type GatewayError } from "./errors.js";
import type { Filter } from "./generated/mmsmo/v1/event.js";
import type { FailedAck } from "./outbox.js";
import { isLocal } from "./target.js";
import type { TokenSource } from "./token.js";
import type { Verdict } from "./verdict.js";

/** PEM, as `node:tls` takes it. Without `ca`, the gateway's certificate must be signed by whom Node trusts. */
export interface TlsOptions {
  readonly ca?: string | Buffer;
  /** This client's certificate, and after it those that signed it; it goes with `key`, or not at all. */
  readonly cert?: string | Buffer;
  readonly key?: string | Buffer;
  /** The name that the gateway's certificate must have; without it, the target's host. */
  readonly serverName?: string;
}

/** How a gateway is reached. */
export interface ConnectOptions {
  /** HOST:PORT or unix:PATH. */
  readonly target: string;
  /** Encrypts; `true` is the same as `{}`. Without it, nothing is encrypted. */
  readonly tls?: TlsOptions | boolean;
  /** Shown with every call. Without encryption it goes to this machine only, unless `sendTokenUnencrypted`. */
  readonly token?: TokenSource;
  readonly sendTokenUnencrypted?: boolean;
  /** More options of @grpc/grpc-js; they come after those that the other options are made into. */
  readonly channelOptions?: ChannelOptions;
}

/** Options of a Subscriber. All but `target` may be left out. Times are in milliseconds. */
export interface SubscriberOptions extends ConnectOptions {
  /** Which events; with `follow` only, since a named subscription has its own. */
  readonly filter?: Partial<Filter>;
  /** How many events a frame may have, 1 to 10,000; 0: the gateway's default. */
  readonly maxBatchSize?: number;
  /**
   * That of the gateway's sign of life, 100 to 3,600,000; 0: the gateway's default. After three of them without a frame
   * the connection is given up.
   */
  readonly heartbeatIntervalMs?: number;
  /** Names this program in the gateway's logs; at most 256 bytes. */
  readonly clientId?: string;
  /** Between two attempts: full jitter below a ceiling that doubles from minBackoffMs (100) to maxBackoffMs (10,000). */
  readonly minBackoffMs?: number;
  readonly maxBackoffMs?: number;
  /** How long an attempt may take until its first frame; by default 10,000. */
  readonly connectTimeoutMs?: number;
  /** Its end is stop({ mode: "release" }). */
  readonly signal?: AbortSignal;
  /** How long a stop may take where it does not say, and the end after a failure; by default 10,000. */
  readonly stopTimeoutMs?: number;
  /** Gets what goes wrong; by default the console. */
  readonly logger?: Logger;
  /** Are told what happens. */
  readonly hooks?: Hooks;

  /** The rest is for named subscriptions. How many handlers run at once; by default 1, in the order of arrival. */
  readonly concurrency?: number;
  /**
   * What the gateway may have under way to this program, in deliveries and in bytes of events: what waits here
   * included. 0: the gateway's default.
   */
  readonly maxOutstandingMessages?: number;
  readonly maxOutstandingBytes?: number;
  /**
   * How long a handler may take: then its delivery is a retry, its signal is aborted, and what it returns counts no
   * more. 0: as long as it takes; its lease is prolonged.
   */
  readonly maxHandlerTimeMs?: number;
}

/** A message for people, and what it is about. `console` is one. */
export interface Logger {
  warn(message: string, about: object): void;
  error(message: string, about: object): void;
}

/** For metrics, traces and tests; each may be left out. What they throw is logged. */
export interface Hooks {
  /** A stream began. */
  connected?(): void;
  /** A stream ended, or could not begin, and will be tried again. */
  disconnected?(why: GatewayError): void;
  /** Everything that the gateway had was received. */
  caughtUp?(): void;
  /** An ack or a dead letter had no effect. */
  ackFailed?(failed: FailedAck): void;
  /**
   * Called around each handler of a named subscription; returns, or fails with, what `handle` does. A trace begins so:
   *
   *     handling(delivery, handle) {
   *       const parent = propagation.extract(ROOT_CONTEXT, { traceparent: delivery.event.traceParent });
   *       const context = trace.getSpanContext(parent);
   *       return tracer.startActiveSpan("handle", { links: context ? [{ context }] : [] }, async (span) => {
   *         try {
   *           const verdict = await handle();
   *           span.setAttribute("verdict", verdict.kind);
   *           return verdict;
   *         } finally {
   *           span.end();
   *         }
   *       });
   *     }
   */
  handling?(delivery: Delivery, handle: () => Promise<Verdict>): Promise<Verdict>;
}

/** With the defaults where nothing is said. */
export type Settings = SubscriberOptions & Required<Pick<SubscriberOptions, keyof typeof NUMBERS | "logger" | "hooks">>;

const NUMBERS = {
  maxBatchSize: defaults.MAX_BATCH_SIZE,
  heartbeatIntervalMs: defaults.HEARTBEAT_INTERVAL_MS,
  minBackoffMs: defaults.MIN_BACKOFF_MS,
  maxBackoffMs: defaults.MAX_BACKOFF_MS,
  connectTimeoutMs: defaults.CONNECT_TIMEOUT_MS,
  stopTimeoutMs: defaults.STOP_TIMEOUT_MS,
  concurrency: defaults.CONCURRENCY,
  maxOutstandingMessages: defaults.MAX_OUTSTANDING_MESSAGES,
  maxOutstandingBytes: defaults.MAX_OUTSTANDING_BYTES,
  maxHandlerTimeMs: defaults.MAX_HANDLER_TIME_MS,
};
const COUNTS = new Set(["maxBatchSize", "concurrency", "maxOutstandingMessages", "maxOutstandingBytes"]);
const LARGEST = 2 ** 31 - 1; // of the contract's counts

/** Throws a GatewayError that names the option. */
export function settingsOf(options: SubscriberOptions): Settings {
  checkConnect(options);
  const numbers = { ...NUMBERS };
  for (const name of Object.keys(NUMBERS) as (keyof typeof NUMBERS)[]) {
    const value = options[name] ?? NUMBERS[name];
    if (Number.isNaN(value) || value < 0) throw invalidOption(name, "it is no number of 0 or more");
    if (COUNTS.has(name)) checkCount(name, value);
    numbers[name] = value;
  }
  if (numbers.concurrency === 0) throw invalidOption("concurrency", "it is 0");
  return { ...options, ...numbers, logger: options.logger ?? console, hooks: options.hooks ?? {} };
}

function checkCount(name: string, value: number): void {
  const largest = name === "maxOutstandingBytes" ? Number.MAX_SAFE_INTEGER : LARGEST;
  if (!Number.isInteger(value) || value > largest) throw invalidOption(name, `it is no whole number up to ${largest}`);
}

/** Throws a GatewayError that names the option. */
export function checkConnect(options: ConnectOptions): void {
  const { target, tls, token, sendTokenUnencrypted } = options;
  if (!target) throw invalidOption("target", "it is empty");
  if (token === undefined || isEncrypted(tls) || sendTokenUnencrypted === true || isLocal(target)) return;
  throw invalidOption(
    "token",
    `it would go to ${target} without encryption, where others can read it; use tls, or say sendTokenUnencrypted`,
  );
}

export function isEncrypted(tls: ConnectOptions["tls"]): tls is TlsOptions | true {
  return tls !== undefined && tls !== false;
}
