import { Backoff } from "./backoff.js";
import type { Connection } from "./connection.js";
import { SILENT_HEARTBEATS } from "./defaults.js";
import { GatewayError, isFinal, toGatewayError } from "./errors.js";
import type { Duration } from "./generated/google/protobuf/duration.js";
import { SubscribeRequest, type SubscribeResponse } from "./generated/mmsmo/v1/mms_mo_service.js";
import type { Settings } from "./options.js";
import { tell } from "./tell.js";
import { sleep } from "./time.js";
import { Watchdog } from "./watchdog.js";

/** What streams are for. */
export interface Source {
  /** What the next stream begins with: its source, and what belongs to that. */
  nextRequest(): Partial<SubscribeRequest>;
  onStreamEnd?(): void;
}

/**
 * Reads streams of Subscribe, one after the other, until `stopping` or a failure that is final: one that fails, ends,
 * or is silent for three heartbeats is replaced, after a wait that grows from failure to failure. Whoever takes a frame
 * may take its time: that is not taken for a silent gateway.
 */
export async function* readStreams(
  settings: Settings,
  connection: Connection,
  source: Source,
  stopping: AbortSignal,
): AsyncGenerator<SubscribeResponse, void, undefined> {
  const backoff = new Backoff(settings);
  const isOver = () => stopping.aborted;
  while (!isOver()) {
    const stream = new Stream(settings, connection, stopping);
    let failure: GatewayError;
    try {
      yield* stream.read(completed(settings, source.nextRequest()));
      failure = new GatewayError("UNAVAILABLE", "the gateway ended the stream");
    } catch (error) {
      failure = toGatewayError(error);
    }
    source.onStreamEnd?.();
    if (isOver()) return;
    if (isFinal(failure)) throw failure;
    if (stream.hadFrame) backoff.reset();
    // What nothing comes over would not carry the next stream either, and what has failed would wait for a time of its
    // own before it connects again.
    if (stream.wasSilent || !connection.isReady) connection.renew();
    settings.logger.warn("mmsmo: the stream is replaced", { target: settings.target, why: failure.message });
    tell(settings.logger, () => settings.hooks.disconnected?.(failure));
    await sleep(failure.retryDelayMs + backoff.next(), stopping);
  }
}

/** One of them. */
class Stream {
  hadFrame = false;
  wasSilent = false;
  readonly #settings: Settings;
  readonly #connection: Connection;
  readonly #stopping: AbortSignal;

  constructor(settings: Settings, connection: Connection, stopping: AbortSignal) {
    this.#settings = settings;
    this.#connection = connection;
    this.#stopping = stopping;
  }

  async *read(request: SubscribeRequest): AsyncGenerator<SubscribeResponse, void, undefined> {
    const ending = new AbortController();
    const end = () => {
      ending.abort();
    };
    this.#stopping.addEventListener("abort", end);
    const watchdog = new Watchdog(() => {
      this.wasSilent = true;
      end();
    });
    let silenceMs = this.#settings.connectTimeoutMs;
    watchdog.watch(silenceMs);
    try {
      for await (const frame of this.#connection.subscribe(request, ending.signal)) {
        watchdog.rest();
        if (this.#stopping.aborted) return;
        this.hadFrame = true;
        yield frame;
        if (frame.started !== undefined) silenceMs = SILENT_HEARTBEATS * msOf(frame.started.heartbeatInterval);
        this.#tell(frame);
        watchdog.watch(silenceMs);
      }
    } catch (error) {
      if (this.wasSilent) throw new GatewayError("DEADLINE_EXCEEDED", "the gateway gave no sign of life");
      throw error;
    } finally {
      watchdog.rest();
      this.#stopping.removeEventListener("abort", end);
      end();
    }
  }

  #tell(frame: SubscribeResponse): void {
    const { hooks, logger } = this.#settings;
    if (frame.started !== undefined) tell(logger, () => hooks.connected?.());
    if (frame.caughtUp !== undefined) tell(logger, () => hooks.caughtUp?.());
  }
}

function completed(settings: Settings, request: Partial<SubscribeRequest>): SubscribeRequest {
  const { maxBatchSize, clientId, heartbeatIntervalMs } = settings;
  return SubscribeRequest.fromPartial({
    ...request,
    maxBatchSize,
    clientId: clientId ?? "",
    ...(heartbeatIntervalMs > 0 && { heartbeatInterval: durationOf(heartbeatIntervalMs) }),
  });
}

/** Milliseconds; 0 where it is unset. */
export function msOf(duration: Duration | undefined): number {
  return duration === undefined ? 0 : duration.seconds * 1000 + duration.nanos / 1e6;
}

export function durationOf(ms: number): Duration {
  const whole = Math.floor(ms / 1000);
  return { seconds: whole, nanos: Math.round((ms - whole * 1000) * 1e6) };
}
