import assert from "node:assert/strict";
import { once } from "node:events";
import { test } from "node:test";

import { status } from "@grpc/grpc-js";
import type { Code, FailedAck } from "@mmsmo/gateway-client";

import { AckFailureReason } from "../dist/generated/mmsmo/v1/mms_mo_service.js";
import { Gate, consume, until } from "./harness.js";
import { Failure, Scripted, batchFrame, deliver, startedFrame } from "./scripted.js";

const UNSPECIFIED = AckFailureReason.ACK_FAILURE_REASON_UNSPECIFIED;
const REASONS = new Map([
  ["passing", AckFailureReason.ACK_FAILURE_REASON_TRANSIENT],
  ["expired", AckFailureReason.ACK_FAILURE_REASON_EXPIRED],
  ["invalid", AckFailureReason.ACK_FAILURE_REASON_INVALID],
]);

test("acknowledgements wait as long as the gateway asks", async (t) => {
  const scripted = await Scripted.start(t);
  const calls: number[] = [];
  scripted.acknowledge = () => {
    calls.push(performance.now());
    if (calls.length === 1) throw new Failure(status.UNAVAILABLE, 200);
    return {};
  };
  const consumer = consume(t, { target: scripted.target });
  await until("it is tried again", () => calls.length === 2);
  const [first = 0, second = 0] = calls;
  assert.ok(second - first >= 199, `it was tried again after ${(second - first).toString()} ms`);
  await consumer.finish();
});

test("streams wait as long as the gateway asks", async (t) => {
  const scripted = await Scripted.start(t);
  const calls: number[] = [];
  scripted.subscribe = async (stream) => {
    calls.push(performance.now());
    if (calls.length === 1) throw new Failure(status.UNAVAILABLE, 200);
    await deliver(stream, "a");
  };
  const consumer = consume(t, { target: scripted.target });
  await until("it is handled", () => consumer.handled === 1);
  const [first = 0, second = 0] = calls;
  assert.ok(second - first >= 199, `it was tried again after ${(second - first).toString()} ms`);
});

test("acknowledgements are tried until known", async (t) => {
  const scripted = await Scripted.start(t);
  scripted.subscribe = (stream) => deliver(stream, "good", "passing", "expired", "invalid");
  let tries = 0;
  scripted.acknowledge = ({ ackIds }) => {
    const failing = ackIds.filter((ackId) => REASONS.has(ackId) && !(ackId === "passing" && ++tries === 3));
    const failures = failing.map((ackId) => ({ ackId, reason: REASONS.get(ackId) ?? UNSPECIFIED }));
    return { failures };
  };
  const consumer = consume(t, { target: scripted.target });
  await until("all are handled", () => consumer.handled === 4);
  await consumer.finish();
  assert.equal(tries, 3);
  const wanted: FailedAck[] = [
    { ackId: "expired", why: "EXPIRED" },
    { ackId: "invalid", why: "INVALID" },
  ];
  assert.deepEqual(consumer.failedAcks, wanted);
  assert.equal(consumer.subscriber.stats.failedAcks, 2);
});

test("a frame of an unknown kind is ignored, and counts", async (t) => {
  const scripted = await Scripted.start(t);
  scripted.subscribe = async (stream) => {
    stream.write(startedFrame());
    const unknown = { ...startedFrame(), started: undefined };
    stream.write(unknown); // which has no content that this knows
    stream.write(batchFrame("a"));
    await once(stream, "cancelled");
  };
  const consumer = consume(t, { target: scripted.target });
  await until("what comes after it is handled", () => consumer.handled === 1);
  await consumer.finish();
  const left = scripted.modified.map(({ streamId, receivedFrames, release }) => ({
    streamId,
    receivedFrames,
    release,
  }));
  assert.deepEqual(left, [{ streamId: "stream", receivedFrames: 3, release: {} }]);
});

test("what comes after a stop was not received", async (t) => {
  const scripted = await Scripted.start(t);
  const gate = new Gate();
  scripted.subscribe = async (stream) => {
    stream.write(startedFrame());
    stream.write(batchFrame("in hand"));
    await gate.hold();
    for (let i = 0; i < 100; i++) stream.write(batchFrame("late"));
    await once(stream, "cancelled");
  };
  let leaves = 0;
  scripted.modify = () => {
    gate.open();
    if (++leaves < 5) throw new Failure(status.UNAVAILABLE);
  };
  const consumer = consume(t, { target: scripted.target, minBackoffMs: 50, maxBackoffMs: 50 });
  await until("it has arrived", () => consumer.handled === 1);
  await consumer.finish();
  const left = new Set(
    scripted.modified.map(({ streamId, receivedFrames }) => `${streamId} ${receivedFrames.toString()}`),
  );
  assert.deepEqual([...left], ["stream 2"]);
  assert.equal(leaves, 5);
  assert.deepEqual([...consumer.attempts.keys()], ["in hand"]);
});

test("a large frame arrives", async (t) => {
  const scripted = await Scripted.start(t);
  const large = "x".repeat(4200 << 10); // more than gRPC lets in by itself
  scripted.subscribe = (stream) => deliver(stream, large);
  const consumer = consume(t, { target: scripted.target });
  await until("it is handled", () => consumer.attempts.has(large));
});

test("a token that was exchanged is tried again", async (t) => {
  const scripted = await Scripted.start(t);
  scripted.subscribe = async (stream) => {
    if (stream.metadata.get("authorization")[0] !== "Bearer new") throw new Failure(status.UNAUTHENTICATED);
    await deliver(stream, "a");
  };
  const tokens = ["old"];
  const consumer = consume(t, { target: scripted.target, token: () => Promise.resolve(tokens.shift() ?? "new") });
  await until("it is handled", () => consumer.handled === 1);
  assert.deepEqual(
    consumer.disconnected.map(({ message }) => message),
    ["there is another token now"],
  );
  await consume(t, { target: scripted.target, token: "old" }).endsWith("UNAUTHENTICATED");
  await consume(t, { target: scripted.target }).endsWith("UNAUTHENTICATED");
});

test("a token source that fails is asked again", async (t) => {
  const scripted = await Scripted.start(t);
  let calls = 0;
  const token = () => {
    if (++calls <= 4) throw new Error("the vault is sealed");
    return "x";
  };
  const consumer = consume(t, { target: scripted.target, token });
  await until("it is handled", () => consumer.handled === 1);
  assert.equal(consumer.disconnected.length, 4);
  assert.equal(consumer.disconnected[0]?.code, "UNAVAILABLE");
});

test("a token source that does not answer holds neither an attempt nor a stop up", async (t) => {
  const scripted = await Scripted.start(t);
  const token = () => new Promise<string>(() => {});
  const consumer = consume(t, { target: scripted.target, token, connectTimeoutMs: 20 });
  await until("it is given up twice", () => consumer.disconnected.length === 2);
  await consumer.finish();
});

for (const code of [
  "INVALID_ARGUMENT",
  "NOT_FOUND",
  "PERMISSION_DENIED",
  "UNIMPLEMENTED",
  "FAILED_PRECONDITION",
  "OUT_OF_RANGE",
] satisfies Code[]) {
  test(`${code} ends the run`, async (t) => {
    const scripted = await Scripted.start(t);
    scripted.subscribe = () => {
      throw new Failure(status[code]);
    };
    await consume(t, { target: scripted.target }).endsWith(code);
  });
}

for (const code of ["UNAVAILABLE", "INTERNAL", "ABORTED", "RESOURCE_EXHAUSTED", "OK"] satisfies Code[]) {
  test(`${code} is tried again`, async (t) => {
    const scripted = await Scripted.start(t);
    let calls = 0;
    scripted.subscribe = () => {
      calls++;
      if (code !== "OK") throw new Failure(status[code]);
    };
    const consumer = consume(t, { target: scripted.target });
    await until("it is tried three times", () => calls >= 3);
    await consumer.finish();
  });
}
