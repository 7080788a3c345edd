// What has no input and output, and no clock.
import assert from "node:assert/strict";
import { mkdtemp, rm, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";

import {
  GatewayError,
  Subscriber,
  connect,
  deadLetter,
  retryAfter,
  tokenFile,
  type Verdict,
} from "@mmsmo/gateway-client";

import { Backoff } from "../dist/backoff.js";
import { Deliveries, type Delivery } from "../dist/deliveries.js";
import { AckFailureReason, Delivery as Received } from "../dist/generated/mmsmo/v1/mms_mo_service.js";
import { Outbox, type Update } from "../dist/outbox.js";
import { isLocal } from "../dist/target.js";
import { checkVerdict } from "../dist/verdict.js";

const BOUNDS = { minBackoffMs: 100, maxBackoffMs: 1000 };
const ACK: Update = { kind: "ack" };
const numbered = (count: number) => Array.from({ length: count }, (_, i) => i.toString());

test("backoff doubles up to its maximum, with full jitter", () => {
  const backoff = new Backoff(BOUNDS, () => 0.5);
  assert.deepEqual(
    numbered(6).map(() => backoff.next()),
    [50, 100, 200, 400, 500, 500],
  );
  backoff.reset();
  assert.equal(backoff.next(), 50);
});

test("backoff is never above its maximum", () => {
  assert.equal(new Backoff({ minBackoffMs: 100, maxBackoffMs: 10 }, () => 1).next(), 10);
});

function outbox(): Outbox {
  return new Outbox(new Backoff(BOUNDS, () => 1)); // which waits for 100 ms, then 200
}

test("updates linger for others, until there are 100", () => {
  const box = outbox();
  assert.equal(box.due, Infinity);
  assert.equal(box.add(ACK, "0", 1000), true);
  assert.equal(box.add(ACK, "1", 1005), false);
  assert.equal(box.due, 1010);
  assert.equal(box.take(1009), undefined);
  for (let i = 2; i < 99; i++) assert.equal(box.add(ACK, i.toString(), 1006), false);
  assert.equal(box.add(ACK, "99", 1006), true);
  assert.deepEqual(box.take(1006), { update: ACK, ackIds: numbered(100) });
  assert.ok(box.isEmpty);
});

test("a call has at most 1,000 ids", () => {
  const box = outbox();
  box.addAll(ACK, numbered(1001), 0);
  assert.equal(box.take(0)?.ackIds.length, 1000);
  assert.deepEqual(box.take(0)?.ackIds, ["1000"]);
  assert.equal(box.take(0), undefined);
});

test("equal updates share a call, and what is due for longest goes first", () => {
  const box = outbox();
  box.add({ kind: "dead_letter", reason: "a" }, "1", 0);
  box.add({ kind: "dead_letter", reason: "b" }, "2", 1);
  box.add({ kind: "dead_letter", reason: "a" }, "3", 2);
  box.add({ kind: "retry_after", delayMs: 5 }, "4", 3);
  box.add({ kind: "retry_after", delayMs: 6 }, "5", 4);
  const calls = numbered(5).map(() => box.take(100)?.ackIds);
  assert.deepEqual(calls, [["1", "3"], ["2"], ["4"], ["5"], undefined]);
});

test("hurry leaves nothing to linger", () => {
  const box = outbox();
  box.add(ACK, "1", 0);
  box.hurry(1);
  assert.equal(box.due, 1);
  box.take(1);
  box.add(ACK, "2", 2);
  assert.equal(box.due, 2);
});

test("what may pass is put back, and pauses all", () => {
  const box = outbox();
  box.addAll(ACK, ["1", "2"], 0);
  box.addAll({ kind: "retry" }, ["3"], 0);
  const first = box.take(0);
  const second = box.take(0);
  assert.ok(first && second);
  assert.deepEqual(box.onError(first, new GatewayError("UNAVAILABLE", "", 50), 10), []);
  assert.deepEqual(box.onError(second, new GatewayError("INTERNAL", ""), 11), []); // the same failure
  assert.equal(box.due, 160);
  assert.equal(box.take(159), undefined);
  assert.deepEqual(box.take(160)?.ackIds, ["1", "2"]);
  assert.deepEqual(box.take(160)?.ackIds, ["3"]);
});

test("after an answer, the next pause is the shortest again", () => {
  const box = outbox();
  const fail = (now: number) => {
    box.addAll(ACK, ["1"], now);
    const call = box.take(now);
    assert.ok(call);
    box.onError(call, new GatewayError("UNAVAILABLE", ""), now);
    return box.due - now;
  };
  assert.deepEqual([fail(0), fail(1000)], [100, 200]);
  const call = box.take(2000);
  assert.ok(call);
  box.onAnswer(call, [], 2000);
  assert.equal(fail(3000), 100);
});

test("acks and dead letters without effect are told, and nothing else", () => {
  const failures = [
    { ackId: "1", reason: AckFailureReason.ACK_FAILURE_REASON_EXPIRED },
    { ackId: "2", reason: AckFailureReason.ACK_FAILURE_REASON_INVALID },
    { ackId: "3", reason: AckFailureReason.ACK_FAILURE_REASON_TRANSIENT },
  ];
  const told = (update: Update) => {
    const box = outbox();
    const failed = box.onAnswer({ update, ackIds: ["1", "2", "3"] }, failures, 0);
    assert.deepEqual(box.take(100)?.ackIds, ["3"]);
    return failed.map(({ ackId, why }) => `${ackId} ${why}`);
  };
  assert.deepEqual(told(ACK), ["1 EXPIRED", "2 INVALID"]);
  assert.deepEqual(told({ kind: "dead_letter", reason: "" }), ["1 EXPIRED", "2 INVALID"]);
  assert.deepEqual(told({ kind: "retry" }), []);
  const denied = new GatewayError("PERMISSION_DENIED", "");
  assert.deepEqual(outbox().onError({ update: ACK, ackIds: ["1"] }, denied, 0), [
    { ackId: "1", why: "PERMISSION_DENIED" },
  ]);
  assert.deepEqual(outbox().onError({ update: { kind: "release" }, ackIds: ["1"] }, denied, 0), []);
});

function frame(...ackIds: string[]): Received[] {
  return ackIds.map((ackId) => Received.fromPartial({ ackId, attempt: 1, event: {} }));
}

function taken(deliveries: Deliveries, now = 0): Delivery {
  const delivery = deliveries.take(now);
  assert.ok(delivery);
  return delivery;
}

test("deliveries are taken in their order, and held until they are finished", () => {
  const deliveries = new Deliveries();
  deliveries.push(frame("1", "2"));
  deliveries.push([]);
  deliveries.push(frame("3"));
  const first = taken(deliveries);
  assert.equal(first.ackId, "1");
  assert.deepEqual(deliveries.heldAckIds(), ["2", "3", "1"]);
  assert.equal(deliveries.held, 3);
  assert.equal(deliveries.finish(first), true);
  assert.equal(deliveries.finish(first), false);
  assert.deepEqual([taken(deliveries).ackId, taken(deliveries).ackId], ["2", "3"]);
  assert.equal(deliveries.take(0), undefined);
  assert.equal(deliveries.held, 2);
});

test("what is drained is not taken, and what is handled stays held", () => {
  const deliveries = new Deliveries();
  deliveries.push(frame("1", "2", "3"));
  taken(deliveries);
  assert.deepEqual(deliveries.drain(), ["2", "3"]);
  assert.equal(deliveries.take(0), undefined);
  assert.deepEqual(deliveries.heldAckIds(), ["1"]);
  deliveries.push(frame("4"));
  assert.equal(taken(deliveries).ackId, "4");
});

test("nothing is taken that others may have, until it is known to be kept", () => {
  const deliveries = new Deliveries();
  deliveries.push(frame("1", "2", "3"));
  deliveries.doubtFrom(100);
  deliveries.doubtFrom(200); // of an attempt in between, which puts nothing off
  assert.equal(taken(deliveries, 99).ackId, "1");
  assert.equal(deliveries.take(100), undefined);
  deliveries.keep();
  assert.equal(taken(deliveries, 100).ackId, "2");
  deliveries.doubtFrom(100);
  deliveries.drain();
  deliveries.push(frame("4"));
  assert.equal(taken(deliveries, 100).ackId, "4");
});

test("nothing is pushed after close, and what waits is taken", () => {
  const deliveries = new Deliveries();
  deliveries.push(frame("1"));
  deliveries.close();
  deliveries.push(frame("2"));
  assert.equal(taken(deliveries).ackId, "1");
  assert.equal(deliveries.take(0), undefined);
});

test("what is local", () => {
  for (const target of [
    ...["unix:/run/x", "unix:///run/x", "localhost:1", "LOCALHOST", "a.localhost.:1", "127.0.0.1:1", "127.9.9.9"],
    ...["[::1]:1", "::1", "[::ffff:127.0.0.1]:1", "dns:///localhost:1", "dns://9.9.9.9/localhost", "dns:127.0.0.1:1"],
    ...["ipv4:127.0.0.1:1", "ipv6:[::1]:1"],
  ]) {
    assert.ok(isLocal(target), target);
  }
  for (const target of [
    ...["example.com:1", "localhost.example.com", "128.0.0.1", "[::2]:1", "::2", "[::ffff:128.0.0.1]:1", ""],
    ...["dns:///example.com", "dns://localhost/example.com", "127.0.0.1.example.com", "notlocalhost"],
  ]) {
    assert.ok(!isLocal(target), target);
  }
});

test("an option that is wrong is named", () => {
  const wrong = (options: object, name: string) => {
    const named = (error: unknown) =>
      error instanceof GatewayError && error.code === "INVALID_ARGUMENT" && error.message.startsWith(`${name}: `);
    assert.throws(() => new Subscriber({ target: "localhost:1", ...options }), named, name);
  };
  wrong({ target: "" }, "target");
  wrong({ concurrency: 0 }, "concurrency");
  wrong({ concurrency: 1.5 }, "concurrency");
  wrong({ maxOutstandingMessages: 2 ** 31 }, "maxOutstandingMessages");
  wrong({ maxHandlerTimeMs: -1 }, "maxHandlerTimeMs");
  wrong({ minBackoffMs: NaN }, "minBackoffMs");
  wrong({ target: "example.com:1", token: "secret" }, "token");
});

test("a token goes in the clear to this machine only, unless it is to", () => {
  const anywhere = { target: "example.com:1", token: "secret" };
  assert.throws(() => connect(anywhere), /^GatewayError: token: /);
  for (const options of [
    { ...anywhere, target: "localhost:1" },
    { ...anywhere, tls: true },
    { ...anywhere, sendTokenUnencrypted: true },
  ]) {
    connect(options).close();
  }
});

test("a certificate goes with its key", () => {
  assert.throws(() => connect({ target: "localhost:1", tls: { cert: "x" } }), /^GatewayError: tls: cert and key/);
});

test("a token's file is read again when it changes", async (t) => {
  const directory = await mkdtemp(join(tmpdir(), "mmsmo-"));
  t.after(() => rm(directory, { recursive: true }));
  const path = join(directory, "token");
  const token = tokenFile(path);
  await assert.rejects(token(), /ENOENT/);
  await writeFile(path, "two words\n");
  await assert.rejects(token(), /one line of visible ASCII/);
  const write = async (text: string, time: number) => {
    await writeFile(path, text);
    await utimes(path, time, time);
  };
  await write("first\r\n", 1);
  assert.equal(await token(), "first");
  await write("other\r\n", 2); // as long as the one before
  assert.equal(await token(), "other");
  await write("", 3);
  assert.equal(await token(), "other");
  await rm(path);
  assert.equal(await token(), "other");
});

test("what a handler returns is checked", () => {
  assert.deepEqual(checkVerdict(retryAfter(1.4)), { kind: "retry_after", delayMs: 1 });
  assert.deepEqual(retryAfter(-1), { kind: "retry_after", delayMs: 0 });
  assert.ok(Number.isSafeInteger((checkVerdict(retryAfter(Infinity)) as { delayMs: number }).delayMs));
  const wrong = [undefined, null, "ack", true, {}, { kind: "nack" }, { kind: "retry_after" }, { kind: "dead_letter" }];
  for (const said of [...wrong, retryAfter(NaN), deadLetter(undefined as unknown as string)]) {
    assert.throws(() => checkVerdict(said as Verdict), TypeError);
  }
});
