import assert from "node:assert/strict";
import { test } from "node:test";

import { CursorExpiredError, Subscriber, afterCursor, fromEarliest, fromTime } from "@mmsmo/gateway-client";
import { Consumer, Way, newGateway, until } from "./harness.js";

const ids = Array.from({ length: 30 }, (_, i) => i.toString());

test("follows over a cut connection, and from where it was", async (t) => {
  const gateway = await newGateway(t);
  for (const id of ids) await gateway.post(id);
  const way = await Way.to(t, gateway.target);
  const consumer = new Consumer({ target: way.address, maxBatchSize: 3 });
  const seen: string[] = [];
  await consumer.subscriber.follow(fromEarliest(), async (event) => {
    seen.push(event.mmsMo?.trackingId ?? "");
    if (seen.length === 10) {
      way.cut();
      await gateway.post("after the cut");
    }
    if (seen.length === ids.length + 1) consumer.subscriber.stop();
  });
  assert.deepEqual(seen, [...ids, "after the cut"]);
  assert.ok(consumer.connected >= 2);
  await gateway.post("next");
  const again = new Subscriber({ target: gateway.target });
  for await (const event of again.follow(afterCursor(consumer.subscriber.cursor))) {
    assert.equal(event.mmsMo?.trackingId, "next");
    again.stop();
  }
});

test("ends with its handler's failure, before its event", async (t) => {
  const gateway = await newGateway(t);
  const first = await gateway.post("good");
  const second = await gateway.post("bad");
  const { subscriber } = new Consumer({ target: gateway.target });
  const failure = new Error("no");
  const following = subscriber.follow(fromEarliest(), ({ cursor }) => {
    if (cursor === second) throw failure;
  });
  await assert.rejects(following, failure);
  assert.equal(subscriber.cursor, first);
});

test("a loop that is left has not handled its last event", async (t) => {
  const gateway = await newGateway(t);
  const first = await gateway.post("1");
  await gateway.post("2");
  const { subscriber } = new Consumer({ target: gateway.target });
  for await (const event of subscriber.follow(fromEarliest())) {
    if (event.cursor !== first) break;
  }
  assert.equal(subscriber.cursor, first);
});

test("has its filter, and passes what that keeps out", async (t) => {
  const gateway = await newGateway(t);
  await gateway.post("a");
  const last = await gateway.post("b");
  const { subscriber } = new Consumer({ target: gateway.target, filter: { recipients: ["1"] } });
  const ended = subscriber.follow(fromTime(new Date(0)), () => assert.fail("it is let through"));
  await until("it is at the end", () => subscriber.cursor === last);
  subscriber.stop({ mode: "release" });
  await ended;
});

test("is told of an expired cursor", async (t) => {
  const gateway = await newGateway(t);
  await gateway.post("here");
  const foreign = await (await newGateway(t)).post("elsewhere");
  const { subscriber } = new Consumer({ target: gateway.target });
  await assert.rejects(
    subscriber.follow(afterCursor(foreign), () => {}),
    (error) => error instanceof CursorExpiredError && error.code === "OUT_OF_RANGE" && error.earliestCursor !== "",
  );
});

test("a handler whose time is over is told", async (t) => {
  const gateway = await newGateway(t);
  await gateway.post("1");
  const { subscriber } = new Consumer({ target: gateway.target });
  await subscriber.follow(fromEarliest(), async (_, signal) => {
    subscriber.stop({ timeoutMs: 10 });
    await until("it is told", () => signal.aborted);
  });
});

test("goes no further than its handler", async (t) => {
  const gateway = await newGateway(t);
  for (const id of ids) await gateway.post(id);
  const { subscriber } = new Consumer({ target: gateway.target });
  let underWay = 0;
  let seen = 0;
  await subscriber.follow(fromEarliest(), async () => {
    assert.equal(++underWay, 1);
    await new Promise(setImmediate);
    underWay--;
    if (++seen === ids.length) subscriber.stop();
  });
});
