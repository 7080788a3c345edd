// A gateway that does what a real one does seldom.
import {
  Metadata,
  Server,
  ServerCredentials,
  status,
  type sendUnaryData,
  type ServerUnaryCall,
  type ServerWritableStream,
  type ServiceDefinition,
} from "@grpc/grpc-js";
import { once } from "node:events";
import type { TestContext } from "node:test";

import { Any } from "../dist/generated/google/protobuf/any.js";
import { RetryInfo } from "../dist/generated/google/rpc/error_details.js";
import { Status } from "../dist/generated/google/rpc/status.js";
import {
  AcknowledgeRequest,
  AcknowledgeResponse,
  ModifyAckDeadlineRequest,
  ModifyAckDeadlineResponse,
  MmsMoServiceDefinition,
  SubscribeRequest,
  SubscribeResponse,
} from "../dist/generated/mmsmo/v1/mms_mo_service.js";

import { atEnd } from "./harness.js";

export type Stream = ServerWritableStream<SubscribeRequest, SubscribeResponse>;
type Answer<T> = T | Promise<T>;

export class Failure extends Error {
  readonly code: status;
  readonly metadata = new Metadata();

  constructor(code: status, retryAfterMs?: number) {
    super("for now");
    this.code = code;
    if (retryAfterMs === undefined) return;
    const retryDelay = { seconds: 0, nanos: retryAfterMs * 1e6 };
    const value = RetryInfo.encode(RetryInfo.fromPartial({ retryDelay })).finish();
    const detail = Any.fromPartial({ typeUrl: "type.googleapis.com/google.rpc.RetryInfo", value: Buffer.from(value) });
    const details = Status.encode(Status.fromPartial({ code, message: "for now", details: [detail] })).finish();
    this.metadata.set("grpc-status-details-bin", Buffer.from(details));
  }
}

export class Scripted {
  readonly modified: ModifyAckDeadlineRequest[] = [];
  target = "";
  /** What it does with a stream; a failure ends it. */
  subscribe: (stream: Stream) => Answer<void> = (stream) => deliver(stream, "a");
  acknowledge: (request: AcknowledgeRequest) => Answer<Partial<AcknowledgeResponse>> = () => ({});
  modify: (request: ModifyAckDeadlineRequest) => Answer<void> = () => {};

  static async start(t: TestContext): Promise<Scripted> {
    const scripted = new Scripted();
    const server = new Server({ "grpc.max_receive_message_length": -1 });
    server.addService(SERVICE, {
      subscribe: (stream: Stream) => {
        stream.on("error", () => {});
        Promise.resolve(stream)
          .then(scripted.subscribe)
          .then(
            () => stream.end(),
            (error: unknown) => stream.emit("error", error),
          );
      },
      acknowledge: unary<AcknowledgeRequest, AcknowledgeResponse>(async (request) =>
        AcknowledgeResponse.fromPartial(await scripted.acknowledge(request)),
      ),
      modifyAckDeadline: unary<ModifyAckDeadlineRequest, ModifyAckDeadlineResponse>(async (request) => {
        scripted.modified.push(request);
        await scripted.modify(request);
        return { failures: [] };
      }),
    });
    const port = await new Promise<number>((resolve, reject) => {
      server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, bound) => {
        if (error === null) resolve(bound);
        else reject(error);
      });
    });
    atEnd(t, () => {
      server.forceShutdown();
    });
    scripted.target = `127.0.0.1:${port.toString()}`;
    return scripted;
  }
}

function unary<Request, Response>(answer: (request: Request) => Promise<Response>) {
  return (call: ServerUnaryCall<Request, Response>, callback: sendUnaryData<Response>) => {
    answer(call.request).then(
      (response) => {
        callback(null, response);
      },
      (error: unknown) => {
        callback(error as Failure);
      },
    );
  };
}

const { methods, fullName } = MmsMoServiceDefinition;
const SERVICE = Object.fromEntries(
  (["subscribe", "acknowledge", "modifyAckDeadline"] as const).map((key) => {
    const { name, requestType, responseType, requestStream, responseStream } = methods[key];
    const definition = {
      path: `/${fullName}/${name}`,
      requestStream,
      responseStream,
      requestSerialize: (message: never) => Buffer.from(requestType.encode(message).finish()),
      requestDeserialize: (bytes: Buffer) => requestType.decode(bytes),
      responseSerialize: (message: never) => Buffer.from(responseType.encode(message).finish()),
      responseDeserialize: (bytes: Buffer) => responseType.decode(bytes),
    };
    return [key, definition];
  }),
) as unknown as ServiceDefinition;

export function startedFrame(): SubscribeResponse {
  const minute = { seconds: 60, nanos: 0 };
  return SubscribeResponse.fromPartial({
    started: { streamId: "stream", heartbeatInterval: minute, ackDeadline: minute },
  });
}

export function batchFrame(...ackIds: string[]): SubscribeResponse {
  const deliveries = ackIds.map((ackId) => ({ ackId, attempt: 1, event: { mmsMo: { trackingId: ackId } } }));
  return SubscribeResponse.fromPartial({ batch: { deliveries } });
}

/** Sends one frame of deliveries, and waits for the stream's end. */
export async function deliver(stream: Stream, ...ackIds: string[]): Promise<void> {
  stream.write(startedFrame());
  stream.write(batchFrame(...ackIds));
  await once(stream, "cancelled");
}
