// Measures this program on one core, the gateway being on another: node --expose-gc dist-tests/bench.js [COUNT].
// MMSMO_GATEWAY and MMSMO_COMMAND name the programs.
import { execFile } from "node:child_process";
import { promisify } from "node:util";

import { Subscriber, ack } from "@mmsmo/gateway-client";
import { startGateway, type Gateway } from "@mmsmo/gateway-client/testing";

const ROUNDS = 5;
const HELD = 10_000;
const count = Number(process.argv[2] ?? "50000");
const ends: (() => Promise<void>)[] = [];

const execute = promisify(execFile);

/** What it starts from now on is there, too. */
async function moveTo(core: number): Promise<void> {
  await execute("taskset", ["-acp", core.toString(), process.pid.toString()]);
}

async function filled(events: number): Promise<Gateway> {
  await moveTo(0);
  const gateway = await startGateway({ after: (end) => ends.push(end) });
  await gateway.subscribe("bench");
  const command = process.env.MMSMO_COMMAND ?? "mmsmo";
  await execute(command, ["send", ...["--url", gateway.url, "--count", events.toString(), "--connections", "64"]]);
  await moveTo(1);
  return gateway;
}

async function measure(): Promise<void> {
  const gateway = await filled(count);
  const subscriber = new Subscriber({ target: gateway.target });
  let handled = 0;
  const begin = performance.now();
  const cpu = process.cpuUsage();
  // eslint-disable-next-line @typescript-eslint/require-await -- as most handlers are
  await subscriber.run("bench", async ({ attempt }) => {
    if (attempt > 1) throw new Error("it comes again");
    if (++handled === count) subscriber.stop();
    return ack();
  });
  const took = performance.now() - begin;
  const { user, system } = process.cpuUsage(cpu);
  if (subscriber.stats.failedAcks > 0) throw new Error("acknowledgements had no effect");
  await gateway.stop();
  const perSecond = ((count / took) * 1000).toFixed(0);
  console.log(`${perSecond} events/s, each ${((user + system) / count).toFixed(1)} us of its core`);
}

function residentMegabytes(): number {
  globalThis.gc?.();
  return process.memoryUsage().rss / 1e6;
}

async function megabytesInHand(): Promise<number> {
  const gateway = await filled(HELD);
  const before = residentMegabytes();
  const subscriber = new Subscriber({ target: gateway.target, maxOutstandingMessages: HELD });
  let grown = 0;
  await subscriber.run("bench", async () => {
    while (subscriber.stats.held < HELD) await new Promise((resolve) => setTimeout(resolve, 10));
    grown = residentMegabytes() - before;
    subscriber.stop({ mode: "release" });
    return ack();
  });
  await gateway.stop();
  return grown;
}

const held = await megabytesInHand();
console.log(`${held.toFixed(0)} MB for ${HELD.toString()} in hand`);
for (let round = 0; round < ROUNDS; round++) await measure();
