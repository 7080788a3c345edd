import assert from "node:assert/strict";
import { test } from "node:test";

import { Subscriber, ack } from "@mmsmo/gateway-client";
import { startGateway, type Gateway } from "@mmsmo/gateway-client/testing";

test("a gateway for a test", async (t) => {
  const gateway = await startGateway(t);
  await gateway.subscribe("billing");
  const cursor = await gateway.post("message <1> & more");
  const subscriber = new Subscriber({ target: gateway.target });
  await subscriber.run("billing", ({ event }) => {
    assert.equal(event.cursor, cursor);
    assert.equal(event.mmsMo?.trackingId, "message <1> & more");
    subscriber.stop();
    return ack();
  });
});

test("it ends with its test", async (t) => {
  let gateway: Gateway | undefined;
  await t.test("a test", async (inner) => {
    gateway = await startGateway(inner, { binary: process.env.MMSMO_GATEWAY ?? "mmsmo-gateway" });
    assert.equal((await fetch(`${gateway.adminUrl}/readyz`)).status, 200);
  });
  await assert.rejects(fetch(`${gateway?.adminUrl ?? ""}/readyz`));
});

test("it takes flags, and can be killed", async (t) => {
  const gateway = await startGateway(t, { flags: ["--http-path", "/other"] });
  assert.equal((await fetch(gateway.url, { method: "POST", body: "<postback/>" })).status, 404);
  await gateway.kill();
  await assert.rejects(fetch(`${gateway.adminUrl}/readyz`));
});

test("it says why it does not begin", async (t) => {
  await assert.rejects(startGateway(t, { binary: "/nowhere/mmsmo-gateway" }), /ENOENT.*MMSMO_GATEWAY/);
  await assert.rejects(startGateway(t, { flags: ["--no-such-flag"] }), /did not begin:\n.*no-such-flag/s);
});

test("what it is not to accept fails", async (t) => {
  const gateway = await startGateway(t);
  await assert.rejects(gateway.postBody("<postback/>"), /the postback was answered/);
});
