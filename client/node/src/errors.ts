import { status, type Metadata } from "@grpc/grpc-js";

import { ErrorInfo, RetryInfo } from "./generated/google/rpc/error_details.js";
import { Status } from "./generated/google/rpc/status.js";

/** A code of gRPC by name, such as "NOT_FOUND". */
export type Code = keyof typeof status;

/** Why a call, a run, or an attempt to connect failed. */
export class GatewayError extends Error {
  readonly code: Code;
  /** How long the gateway asks to wait before another attempt, in milliseconds, at most a minute; 0: it does not. */
  readonly retryDelayMs: number;

  constructor(code: Code, message: string, retryDelayMs = 0) {
    super(message);
    this.name = new.target.name;
    this.code = code;
    this.retryDelayMs = retryDelayMs;
  }
}

/** A position is no longer retained. */
export class CursorExpiredError extends GatewayError {
  /** The position before the oldest event that is: afterCursor(earliestCursor) goes on with it. */
  readonly earliestCursor: string;

  constructor(message: string, earliestCursor: string) {
    super("OUT_OF_RANGE", `${message}; the earliest cursor is ${earliestCursor}`);
    this.earliestCursor = earliestCursor;
  }
}

/** The run ended although handlers had not, long after their signals were aborted. */
export class HandlersRunningError extends Error {
  override name = "HandlersRunningError";

  constructor() {
    super("handlers have not returned");
  }
}

/** An option has a value that it cannot have. */
export function invalidOption(name: string, why: string): GatewayError {
  return new GatewayError("INVALID_ARGUMENT", `${name}: ${why}`);
}

const MAX_RETRY_DELAY_MS = 60_000; // whatever a gateway asks for
const DETAILS_KEY = "grpc-status-details-bin";

interface Details {
  earliestCursor?: string;
  retryDelayMs: number;
}

/** Of whatever a call failed with. */
export function toGatewayError(error: unknown): GatewayError {
  if (error instanceof GatewayError) return error;
  if (!isServiceError(error)) return new GatewayError("UNKNOWN", String(error));
  const code = (status[error.code] ?? "UNKNOWN") as Code;
  const details = detailsOf(error.metadata);
  if (code === "OUT_OF_RANGE" && details.earliestCursor !== undefined) {
    return new CursorExpiredError(error.details, details.earliestCursor);
  }
  return new GatewayError(code, error.details, code === "UNAVAILABLE" ? details.retryDelayMs : 0);
}

interface Failed {
  code: number;
  details: string;
  metadata?: Metadata;
}

function isServiceError(error: unknown): error is Failed {
  return error instanceof Error && "code" in error && typeof error.code === "number" && "details" in error;
}

function detailsOf(metadata: Metadata | undefined): Details {
  const found: Details = { retryDelayMs: 0 };
  const packed = metadata?.get(DETAILS_KEY)[0];
  if (!(packed instanceof Buffer)) return found;
  try {
    for (const detail of Status.decode(packed).details) addDetail(found, detail.typeUrl, detail.value);
  } catch {
    // What cannot be read says nothing.
  }
  return found;
}

function addDetail(found: Details, typeUrl: string, value: Uint8Array): void {
  if (typeUrl.endsWith("/google.rpc.ErrorInfo")) {
    const info = ErrorInfo.decode(value);
    if (info.reason === "CURSOR_EXPIRED") found.earliestCursor = info.metadata.earliest_cursor ?? "";
  } else if (typeUrl.endsWith("/google.rpc.RetryInfo")) {
    const delay = RetryInfo.decode(value).retryDelay;
    const ms = (delay?.seconds ?? 0) * 1000 + (delay?.nanos ?? 0) / 1e6;
    found.retryDelayMs = Math.min(Math.max(ms, 0), MAX_RETRY_DELAY_MS);
  }
}

const FINAL: ReadonlySet<Code> = new Set<Code>([
  "INVALID_ARGUMENT",
  "NOT_FOUND",
  "PERMISSION_DENIED",
  "UNAUTHENTICATED",
  "UNIMPLEMENTED",
  "FAILED_PRECONDITION",
  "OUT_OF_RANGE",
]);

/** Whether it makes no sense to try again. */
export function isFinal(error: GatewayError): boolean {
  return FINAL.has(error.code);
}
