import {
  Client,
  Metadata,
  connectivityState,
  credentials,
  type ChannelCredentials,
  type ChannelOptions,
} from "@grpc/grpc-js";

import { KEEPALIVE_TIME_MS } from "./defaults.js";
import { GatewayError, invalidOption, toGatewayError } from "./errors.js";
import { SubscribeRequest, SubscribeResponse } from "./generated/mmsmo/v1/mms_mo_service.js";
import { isEncrypted, type ConnectOptions } from "./options.js";
import { isLocal } from "./target.js";
import { orAborted } from "./time.js";
import { tokenOf } from "./token.js";

const SUBSCRIBE = "/mmsmo.v1.MmsMoService/Subscribe";
const FLOW_CONTROL_WINDOW = 4 << 20; // a frame, however large: else each takes a round trip for every 64 KiB

/** How a message is written and read, as the generated stubs have it. */
export interface Codec<T> {
  encode(message: T): { finish(): Uint8Array };
  decode(bytes: Uint8Array): T;
}

/** A method with one request and one answer. */
export interface Unary<Request, Response> {
  readonly path: string;
  readonly request: Codec<Request>;
  readonly response: Codec<Response>;
}

export interface CallOptions {
  /** Milliseconds; without it, as long as it takes. */
  readonly timeoutMs?: number;
  /** Its end is the call's. */
  readonly signal?: AbortSignal;
}

interface Cancellable {
  cancel(): void;
}

/** A connection to the gateway, which can be given up for a new one. */
export class Connection {
  readonly #options: ConnectOptions;
  readonly #credentials: ChannelCredentials;
  readonly #calls = new Set<Cancellable>();
  #client: Client;
  #isClosed = false;

  /** Does not wait for the gateway. Throws where the TLS options are wrong. */
  constructor(options: ConnectOptions) {
    this.#options = options;
    this.#credentials = credentialsOf(options);
    this.#client = this.#connect();
  }

  get isReady(): boolean {
    return this.#client.getChannel().getConnectivityState(false) === connectivityState.READY;
  }

  /** Gives up the connection, with the calls that are under way. */
  renew(): void {
    if (this.#isClosed) return;
    this.#end();
    this.#client = this.#connect();
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#end();
  }

  /** Fails with a GatewayError. */
  async unary<Request, Response>(
    method: Unary<Request, Response>,
    request: Request,
    { timeoutMs, signal }: CallOptions = {},
  ): Promise<Response> {
    const deadline = timeoutMs === undefined ? Infinity : Date.now() + timeoutMs;
    const token = await this.#token(timeoutMs, signal);
    try {
      return await this.#call(method, request, deadline, token, signal);
    } catch (error) {
      throw await this.#failureOf(error, token, timeoutMs, signal);
    }
  }

  /** Fails with a GatewayError. Ends with `signal`, or when nobody reads it any more. */
  async *subscribe(request: SubscribeRequest, signal: AbortSignal): AsyncGenerator<SubscribeResponse, void, undefined> {
    const token = await this.#token(undefined, signal);
    const stream = this.#client.makeServerStreamRequest(
      SUBSCRIBE,
      (message: SubscribeRequest) => toBuffer(SubscribeRequest.encode(message).finish()),
      (bytes) => SubscribeResponse.decode(bytes),
      request,
      metadataOf(token),
    );
    stream.on("error", () => {}); // also after it was left
    const cancel = () => {
      stream.cancel();
    };
    signal.addEventListener("abort", cancel);
    try {
      yield* stream as AsyncIterable<SubscribeResponse>;
    } catch (error) {
      throw await this.#failureOf(error, token, undefined, signal);
    } finally {
      signal.removeEventListener("abort", cancel);
      cancel();
    }
  }

  #call<Request, Response>(
    method: Unary<Request, Response>,
    request: Request,
    deadline: number,
    token: string | undefined,
    signal: AbortSignal | undefined,
  ): Promise<Response> {
    return new Promise((resolve, reject) => {
      const call = this.#client.makeUnaryRequest(
        method.path,
        (message: Request) => toBuffer(method.request.encode(message).finish()),
        (bytes) => method.response.decode(bytes),
        request,
        metadataOf(token),
        { deadline },
        (error, response) => {
          this.#calls.delete(call);
          signal?.removeEventListener("abort", cancel);
          if (error === null && response !== undefined) resolve(response);
          else reject(error ?? new GatewayError("INTERNAL", "the gateway answered nothing"));
        },
      );
      const cancel = () => {
        call.cancel();
      };
      this.#calls.add(call);
      signal?.addEventListener("abort", cancel);
    });
  }

  /** What a call would show now; undefined where there is no source of one. */
  async #token(timeoutMs: number | undefined, signal: AbortSignal | undefined): Promise<string | undefined> {
    if (signal?.aborted === true) throw new GatewayError("CANCELLED", "it was given up before it began");
    const source = this.#options.token;
    if (source === undefined) return undefined;
    const ends = signal === undefined ? [] : [signal];
    if (timeoutMs !== undefined) ends.push(AbortSignal.timeout(timeoutMs));
    return await orAborted(tokenOf(source), AbortSignal.any(ends));
  }

  /** A token that was refused may have been exchanged meanwhile: then it makes sense to try again. */
  async #failureOf(
    error: unknown,
    shown: string | undefined,
    timeoutMs: number | undefined,
    signal: AbortSignal | undefined,
  ): Promise<GatewayError> {
    const failure = toGatewayError(error);
    if (failure.code !== "UNAUTHENTICATED" || shown === undefined) return failure;
    const token = await this.#token(timeoutMs, signal).catch(() => shown);
    return token === shown ? failure : new GatewayError("UNAVAILABLE", "there is another token now");
  }

  #connect(): Client {
    return new Client(this.#options.target, this.#credentials, channelOptionsOf(this.#options));
  }

  #end(): void {
    for (const call of this.#calls) call.cancel();
    this.#client.close();
  }
}

function channelOptionsOf(options: ConnectOptions): ChannelOptions {
  const chosen: ChannelOptions = {
    "grpc.max_receive_message_length": -1, // bodies and events are as large as the gateway lets in
    "grpc.keepalive_time_ms": KEEPALIVE_TIME_MS,
    "grpc.use_local_subchannel_pool": 1, // a new channel is a new connection
    "grpc.service_config_disable_resolution": 1,
    "grpc.enable_retries": 0, // what may be tried again is, here
    "grpc-node.flow_control_window": FLOW_CONTROL_WINDOW,
  };
  if (isLocal(options.target)) chosen["grpc.enable_http_proxy"] = 0;
  if (typeof options.tls === "object" && options.tls.serverName !== undefined) {
    chosen["grpc.ssl_target_name_override"] = options.tls.serverName;
  }
  return { ...chosen, ...options.channelOptions };
}

function credentialsOf({ tls }: ConnectOptions): ChannelCredentials {
  if (!isEncrypted(tls)) return credentials.createInsecure();
  const { ca, cert, key } = tls === true ? {} : tls;
  if ((cert === undefined) !== (key === undefined)) throw invalidOption("tls", "cert and key go together");
  try {
    return credentials.createSsl(bytesOf(ca), bytesOf(key), bytesOf(cert));
  } catch (error) {
    throw invalidOption("tls", String(error));
  }
}

function metadataOf(token: string | undefined): Metadata {
  const metadata = new Metadata();
  if (token !== undefined) metadata.set("authorization", `Bearer ${token}`);
  return metadata;
}

function bytesOf(pem: string | Buffer | undefined): Buffer | null {
  return pem === undefined ? null : Buffer.from(pem);
}

function toBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
