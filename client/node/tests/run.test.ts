import assert from "node:assert/strict";
import { once } from "node:events";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import {
  HandlersRunningError,
  Subscriber,
  ack,
  deadLetter,
  retry,
  retryAfter,
  stopOnSignals,
} from "@mmsmo/gateway-client";
import type { Verdict } from "@mmsmo/gateway-client";
import { sample } from "@mmsmo/gateway-client/testing";

import {
  Consumer,
  Gate,
  NAME,
  PATIENCE_MS,
  Way,
  consume,
  idOf,
  newGateway,
  post,
  subscriptionOf,
  until,
  untilDone,
  wereHandledOnce,
} from "./harness.js";

const SOON = { minimumBackoff: { seconds: 0, nanos: 10e6 }, maximumBackoff: { seconds: 0, nanos: 10e6 } };

test("verdicts become what they say", async (t) => {
  const gateway = await newGateway(t);
  await gateway.subscribe(NAME, { retryPolicy: SOON });
  for (const id of ["acked", "retried", "delayed", "dead"]) await gateway.post(id);
  const began = new Map<string, number[]>();
  consume(t, { target: gateway.target, concurrency: 4 }, (delivery) => {
    const id = idOf(delivery);
    began.set(id, [...(began.get(id) ?? []), performance.now()]);
    if (delivery.attempt > 1 || id === "acked") return ack();
    if (id === "retried") return retry();
    return id === "delayed" ? retryAfter(300) : deadLetter("it is enough");
  });
  await untilDone(gateway);
  const times = Object.fromEntries([...began].map(([id, { length }]) => [id, length]));
  assert.deepEqual(times, { acked: 1, retried: 2, delayed: 2, dead: 1 });
  const [first = 0, second = 0] = began.get("delayed") ?? [];
  assert.ok(second - first >= 300, `it came again after ${(second - first).toString()} ms`);
  const { deadLetters } = await gateway.services.subscriptions.listDeadLetters({ subscription: NAME });
  assert.deepEqual(
    deadLetters.map(({ reason }) => reason),
    ["it is enough"],
  );
});

test("resumes over a cut connection", async (t) => {
  const gateway = await newGateway(t);
  await gateway.subscribe(NAME);
  const ids = await post(gateway, 100);
  const way = await Way.to(t, gateway.target);
  const gate = new Gate();
  const consumer = consume(t, { target: way.address, maxBatchSize: 10 }, gate.hold);
  for (let cuts = 1; cuts <= 3; cuts++) {
    await until("it has connected", () => consumer.connected === cuts);
    way.cut();
  }
  gate.open();
  await untilDone(gateway);
  await consumer.finish();
  wereHandledOnce(ids, consumer);
  for (const attempts of consumer.attempts.values()) assert.deepEqual(attempts, [1]);
});

test("a stop that finishes handles what has arrived of 1,000 in hand", async (t) => {
  const gateway = await newGateway(t);
  await gateway.subscribe(NAME, { maxAttempts: 1 });
  const ids = await post(gateway, 3000);
  const gate = new Gate();
  const first = consume(t, { target: gateway.target, maxBatchSize: 10 }, gate.hold);
  await until("1,000 are in hand", () => first.held >= 1000);
  first.subscriber.stop({ mode: "finish", timeoutMs: PATIENCE_MS });
  const inHand = first.held;
  gate.open();
  assert.equal(await first.ended, undefined);
  assert.equal(first.handled, inHand);
  await until("its stream is gone", async () => (await subscriptionOf(gateway)).streamCount === 0);
  const second = consume(t, { target: gateway.target });
  await untilDone(gateway);
  await second.finish();
  wereHandledOnce(ids, first, second);
  assert.equal((await subscriptionOf(gateway)).deadLetterCount, 0);
});

test("a stop that releases gives the rest of 1,000 in hand to others at once", async (t) => {
  const gateway = await newGateway(t);
  await gateway.subscribe(NAME, { maxAttempts: 1 });
  const ids = await post(gateway, 1000);
  const gate = new Gate();
  const first = consume(t, { target: gateway.target, maxOutstandingMessages: 1000 }, gate.hold);
  await until("1,000 are in hand", () => first.held === 1000);
  const second = consume(t, { target: gateway.target, maxOutstandingMessages: 1000 });
  await until("the other is there", () => second.caughtUp === 1);
  const stopped = performance.now();
  first.subscriber.stop({ mode: "release", timeoutMs: PATIENCE_MS });
  await until("what was not begun is handled by the other", () => second.handled === 999);
  const took = performance.now() - stopped;
  t.diagnostic(`the other had all after ${took.toFixed(0)} ms`);
  assert.ok(took < 1000, `the other had all after ${took.toString()} ms`);
  assert.equal(first.handled, 0);
  assert.ok(!first.hasEnded, "it ended before its handler");
  gate.open();
  assert.equal(await first.ended, undefined);
  await second.finish();
  wereHandledOnce(ids, first, second);
  const { backlogCount, deadLetterCount } = await subscriptionOf(gateway);
  assert.deepEqual({ backlogCount, deadLetterCount }, { backlogCount: 0, deadLetterCount: 0 });
});

test("a stop leaves the stream that replaces another, too", async (t) => {
  const gateway = await newGateway(t);
  await gateway.subscribe(NAME);
  const ids = await post(gateway, 500);
  const way = await Way.to(t, gateway.target);
  const gate = new Gate();
  const first = consume(t, { target: way.address, maxBatchSize: 10, maxOutstandingMessages: 100 }, gate.hold);
  await until("some are in hand", () => first.held === 100);
  first.subscriber.stop({ mode: "finish", timeoutMs: PATIENCE_MS });
  way.cut();
  await until("it has connected again", () => first.connected === 2);
  await gateway.post("later");
  const second = consume(t, { target: gateway.target });
  await until("the other has the rest", () => second.handled === 401);
  gate.open();
  assert.equal(await first.ended, undefined);
  await second.finish();
  wereHandledOnce([...ids, "later"], first, second);
  assert.equal(first.handled, 100);
});

test("the signal of the options releases", async (t) => {
  const gateway = await newGateway(t);
  await gateway.subscribe(NAME);
  await post(gateway, 20);
  const controller = new AbortController();
  const gate = new Gate();
  const consumer = consume(t, { target: gateway.target, signal: controller.signal }, async (_, signal) => {
    const verdict = await gate.hold();
    assert.ok(!signal.aborted, "it is told to end, although it has time");
    return verdict;
  });
  await until("all have arrived", () => consumer.held === 20);
  controller.abort();
  await until("the rest is released", () => consumer.held === 1);
  gate.open();
  assert.equal(await consumer.ended, undefined);
  assert.equal(consumer.handled, 1);
  assert.equal((await subscriptionOf(gateway)).backlogCount, 19);
  const late = new Subscriber({ target: gateway.target, signal: controller.signal });
  await late.run(NAME, () => assert.fail("it runs"));
});

test("a stop that is over its time tells the handlers", async (t) => {
  const gateway = await newGateway(t);
  await gateway.subscribe(NAME);
  await post(gateway, 20);
  const consumer = consume(t, { target: gateway.target }, async (_, signal) => {
    await once(signal, "abort");
    return ack();
  });
  await until("all have arrived", () => consumer.held === 20);
  consumer.subscriber.stop({ mode: "finish", timeoutMs: 50 });
  assert.equal(await consumer.ended, undefined);
  assert.equal((await subscriptionOf(gateway)).backlogCount, 19);
  const other = consume(t, { target: gateway.target });
  await until("the others are handled at once", () => other.handled === 19);
});

test("a handler that heeds nothing holds no stop up", async (t) => {
  const gateway = await newGateway(t);
  await gateway.subscribe(NAME);
  await gateway.post("stuck");
  const gate = new Gate();
  let told: AbortSignal | undefined;
  const consumer = consume(t, { target: gateway.target }, (_, signal) => {
    told = signal;
    return gate.hold();
  });
  await until("it has begun", () => gate.hasBegun);
  consumer.subscriber.stop({ mode: "finish", timeoutMs: Infinity });
  await sleep(10);
  assert.ok(told?.aborted === false, "it has no time");
  consumer.subscriber.stop({ mode: "release", timeoutMs: 0 });
  assert.ok((await consumer.ended) instanceof HandlersRunningError);
  gate.open();
});

test("a black hole is noticed and left", async (t) => {
  const gateway = await newGateway(t);
  await gateway.subscribe(NAME);
  const ids = await post(gateway, 100);
  const way = await Way.to(t, gateway.target);
  const gate = new Gate();
  const heartbeatIntervalMs = 300;
  const consumer = consume(t, { target: way.address, heartbeatIntervalMs }, gate.hold);
  await until("all have arrived", () => consumer.held === 100);
  way.digHole();
  const fell = performance.now();
  gate.open(); // so that acknowledgements fall into it, too
  await until("it is noticed", () => consumer.disconnected.length > 0);
  const took = performance.now() - fell;
  assert.ok(took < 3 * heartbeatIntervalMs + 200, `it was noticed after ${took.toString()} ms`);
  assert.equal(consumer.disconnected[0]?.code, "DEADLINE_EXCEEDED");
  way.openWay();
  const opened = performance.now();
  await untilDone(gateway);
  const late = performance.now() - opened;
  assert.ok(late < 5000, `what fell into it came out after ${late} ms`);
  await consumer.finish();
  wereHandledOnce(ids, consumer);
});

test("a black hole at the beginning is noticed", async (t) => {
  const gateway = await newGateway(t);
  await gateway.subscribe(NAME);
  await gateway.post("late");
  const way = await Way.to(t, gateway.target);
  way.digHole();
  const consumer = consume(t, { target: way.address, connectTimeoutMs: 100 });
  await until("it is noticed twice", () => consumer.disconnected.length > 1);
  way.openWay();
  await until("it is handled", () => consumer.handled === 1);
});

test("a program that computes takes its gateway for silent no more than it is", async (t) => {
  const gateway = await newGateway(t);
  await gateway.subscribe(NAME);
  await gateway.post("long");
  const consumer = consume(t, { target: gateway.target, heartbeatIntervalMs: 100 }, async () => {
    await sleep(10); // then it is the gateway's turn
    for (const begin = performance.now(); performance.now() - begin < 600;);
    return ack();
  });
  await untilDone(gateway);
  await sleep(150);
  assert.deepEqual(consumer.disconnected, []);
});

test("each attempt is an attempt", async (t) => {
  const closed = await Way.to(t, "127.0.0.1:1"); // takes connections and closes them
  const consumer = consume(t, { target: closed.address, minBackoffMs: 1, maxBackoffMs: 1 });
  await until("it has failed often", () => consumer.disconnected.length >= 20);
  assert.ok(closed.taken >= 20, `it connected ${closed.taken.toString()} times`);
});

test("a stop ends soon without a gateway", async (t) => {
  const hole = await Way.to(t, (await newGateway(t)).target);
  hole.digHole();
  const ignored = consume(t, { target: hole.address });
  const refused = consume(t, { target: "127.0.0.1:1" });
  await until("it was refused", () => refused.disconnected.length > 0);
  await until("it waits for an answer", () => hole.taken > 0);
  for (const consumer of [refused, ignored]) {
    const began = performance.now();
    await consumer.finish();
    assert.ok(performance.now() - began < 1000);
  }
  assert.deepEqual(ignored.disconnected, []);
});

test("a handler has no more than its time", async (t) => {
  const gateway = await newGateway(t);
  await gateway.subscribe(NAME, { retryPolicy: SOON });
  const heeding = 20;
  for (let i = 0; i < heeding; i++) await gateway.post(`heeds ${i.toString()}`);
  await gateway.post("ignores");
  let again = 0;
  const options = { target: gateway.target, concurrency: heeding + 2, maxHandlerTimeMs: 50 };
  const consumer = consume(t, options, async (delivery, signal) => {
    if (delivery.attempt > 1) {
      again++;
      return ack();
    }
    await once(signal, "abort");
    if (idOf(delivery) === "ignores") await until("it comes again meanwhile", () => again === heeding + 1);
    return deadLetter("this counts no more");
  });
  await untilDone(gateway);
  assert.equal((await subscriptionOf(gateway)).deadLetterCount, 0);
  const { failedHandlers, failedAcks } = consumer.subscriber.stats;
  assert.deepEqual({ failedHandlers, failedAcks }, { failedHandlers: heeding + 1, failedAcks: 0 });
});

test("a handler that fails is a retry, logged and counted", async (t) => {
  const gateway = await newGateway(t);
  await gateway.subscribe(NAME, { retryPolicy: SOON });
  for (const id of ["throws", "rejects", "returns nothing"]) await gateway.post(id);
  const failures: Record<string, () => Promise<Verdict> | Verdict> = {
    throws: () => {
      throw new Error("thrown");
    },
    rejects: () => Promise.reject(new Error("rejected")),
    "returns nothing": () => undefined as unknown as Verdict,
  };
  const consumer = consume(t, { target: gateway.target }, (delivery) =>
    delivery.attempt > 1 ? ack() : (failures[idOf(delivery)]?.() ?? (undefined as unknown as Verdict)),
  );
  await untilDone(gateway);
  await consumer.finish();
  assert.equal(consumer.subscriber.stats.failedHandlers, 3);
  const trackingIds = consumer.logged.map(([, about]) => (about as { trackingId: string }).trackingId);
  assert.deepEqual(trackingIds.sort(), ["rejects", "returns nothing", "throws"]);
});

test("leases are prolonged", async (t) => {
  const gateway = await newGateway(t);
  await gateway.subscribe(NAME, { ackDeadline: { seconds: 1, nanos: 0 } });
  const ids = await post(gateway, 3);
  const consumer = consume(t, { target: gateway.target }, async () => {
    await sleep(750); // so that the last would have waited for twice its lease
    return ack();
  });
  await untilDone(gateway);
  wereHandledOnce(ids, consumer);
});

test("an acknowledgement without effect is told", async (t) => {
  const gateway = await newGateway(t);
  await gateway.subscribe(NAME);
  await gateway.post("moved");
  const gate = new Gate();
  const consumer = consume(t, { target: gateway.target }, gate.hold);
  await until("it has begun", () => gate.hasBegun);
  await gateway.services.subscriptions.deleteSubscription({ name: NAME });
  gate.open();
  await consumer.endsWith("NOT_FOUND");
  assert.equal(consumer.subscriber.stats.failedAcks, 1);
  assert.equal(consumer.failedAcks.length, 1);
});

test("an unknown subscription ends the run", async (t) => {
  const gateway = await newGateway(t);
  await consume(t, { target: gateway.target }).endsWith("NOT_FOUND");
});

test("a subscriber runs once, and not after a stop", async (t) => {
  const gateway = await newGateway(t);
  await gateway.subscribe(NAME);
  const { subscriber } = new Consumer({ target: gateway.target });
  subscriber.stop();
  await subscriber.run(NAME, () => ack());
  await assert.rejects(
    subscriber.run(NAME, () => ack()),
    /runs once/,
  );
});

test("a large event arrives", async (t) => {
  const gateway = await newGateway(t, { flags: ["--max-body-bytes", "1MiB"] });
  await gateway.subscribe(NAME);
  const note = "x".repeat(1000 << 10);
  await gateway.postBody(sample("large").replace("<content>", `<note>${note}</note><content>`));
  let arrived: string | undefined;
  consume(t, { target: gateway.target }, ({ event }) => {
    arrived = event.mmsMo?.extra.note;
    return ack();
  });
  await untilDone(gateway);
  assert.equal(arrived, note);
});

test("signals stop: the first finishes, the second releases", async (t) => {
  const gateway = await newGateway(t);
  await gateway.subscribe(NAME);
  await post(gateway, 10);
  const gate = new Gate();
  const consumer = consume(t, { target: gateway.target }, gate.hold);
  t.after(stopOnSignals(consumer.subscriber, { timeoutMs: PATIENCE_MS }));
  await until("all have arrived", () => consumer.held === 10);
  const { mock } = t.mock.method(consumer.subscriber, "stop");
  const listeners = process.listenerCount("SIGTERM");
  process.kill(process.pid, "SIGTERM");
  await until("it stops", () => mock.callCount() === 1);
  assert.equal(consumer.held, 10);
  process.kill(process.pid, "SIGINT");
  await until("what waits is released", () => consumer.held === 1);
  assert.equal(process.listenerCount("SIGTERM"), listeners - 1, "a third would not end the process");
  gate.open();
  assert.equal(await consumer.ended, undefined);
  assert.equal(consumer.handled, 1);
});

test("handling is told, and a hook that fails harms nobody", async (t) => {
  const gateway = await newGateway(t);
  await gateway.subscribe(NAME, { retryPolicy: SOON });
  await gateway.post("traced");
  const told: string[] = [];
  const consumer = consume(
    t,
    {
      target: gateway.target,
      hooks: {
        connected: () => {
          throw new Error("no");
        },
        handling: async (delivery, handle) => {
          told.push(`began ${idOf(delivery)}`);
          try {
            const verdict = await handle();
            told.push(verdict.kind);
            return verdict;
          } catch (error) {
            told.push(String(error));
            throw error;
          }
        },
      },
    },
    (delivery) => {
      if (delivery.attempt === 1) throw new Error("at first");
      return ack();
    },
  );
  await untilDone(gateway);
  await consumer.finish();
  assert.deepEqual(told, ["began traced", "Error: at first", "began traced", "ack"]);
  assert.ok(consumer.logged.some(([message]) => message === "mmsmo: a hook failed"));
});
