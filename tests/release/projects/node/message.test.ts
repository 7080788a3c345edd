import assert from "node:assert/strict";
import { test } from "node:test";

import { Subscriber, ack, type Delivery, type Verdict } from "@mmsmo/gateway-client";
import { startGateway } from "@mmsmo/gateway-client/testing";

test("a message is handled", async (t) => {
  const gateway = await startGateway(t);
  await gateway.subscribe("billing");
  await gateway.post("message-1");

  const subscriber = new Subscriber({ target: gateway.target });
  const handled: (string | undefined)[] = [];
  await subscriber.run("billing", ({ event }: Delivery): Verdict => {
    subscriber.stop();
    handled.push(event.mmsMo?.trackingId);
    return ack();
  });
  assert.deepEqual(handled, ["message-1"]);
});
