// What holds of a whole program.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";

import { NAME, Way, newGateway, subscriptionOf, until } from "./harness.js";

const ROOT = join(import.meta.dirname, "..");
const NEVER = 20_000;

/** Runs a module to its end, and returns what it prints. */
async function output(module: string, env: NodeJS.ProcessEnv = {}): Promise<string> {
  const options = { cwd: ROOT, timeout: NEVER, env: { ...process.env, ...env } };
  const { stdout } = await promisify(execFile)(process.execPath, ["--input-type=module", "-e", module], options);
  return stdout;
}

const printsWhenItEnds = `
  const ended = performance.now();
  process.on("exit", () => console.log(performance.now() - ended));`;

async function endsAtOnce(module: string): Promise<void> {
  const lateMs = Number(
    await output(`import { Subscriber, ack } from "@mmsmo/gateway-client"; ${module} ${printsWhenItEnds}`),
  );
  assert.ok(lateMs < 500, `it ended ${lateMs.toString()} ms after its run`);
}

test("a program ends when its run has", async (t) => {
  const gateway = await newGateway(t);
  await gateway.subscribe(NAME);
  await gateway.post("1");
  await endsAtOnce(`
    const subscriber = new Subscriber({ target: "${gateway.target}", maxHandlerTimeMs: 5000 });
    await subscriber.run("${NAME}", () => {
      subscriber.stop();
      return ack();
    });
    subscriber.stop();`);
});

for (const notices of [true, false]) {
  test(`a program ends when its run has, in a black hole that it ${notices ? "notices" : "does not notice"}`, async (t) => {
    const gateway = await newGateway(t);
    await gateway.subscribe(NAME);
    const way = await Way.to(t, gateway.target);
    const ending = endsAtOnce(`
      const subscriber = new Subscriber({ target: "${way.address}", heartbeatIntervalMs: ${notices ? "200" : "0"},
        logger: { warn() {} }, hooks: { disconnected: () => subscriber.stop({ timeoutMs: 0 }) } });
      if (${String(!notices)}) setTimeout(() => subscriber.stop({ timeoutMs: 0 }), 1000);
      await subscriber.run("${NAME}", () => ack());`);
    await until("it is there", async () => (await subscriptionOf(gateway)).streamCount === 1);
    way.digHole();
    await ending;
  });
}

test("CommonJS can import it", async () => {
  const module = `import("@mmsmo/gateway-client").then(({ ack }) => console.log(ack().kind));`;
  const { stdout } = await promisify(execFile)(process.execPath, ["--input-type=commonjs", "-e", module], {
    cwd: ROOT,
  });
  assert.equal(stdout.trim(), "ack");
});

test("goes past the proxies of the environment to this machine", async (t) => {
  const directory = await mkdtemp(join(tmpdir(), "mmsmo-"));
  t.after(() => rm(directory, { recursive: true }));
  const socket = `unix:${join(directory, "grpc")}`;
  const proxy = "http://127.0.0.1:1";
  for (const flags of [[], ["--grpc-listen", socket]]) {
    const gateway = await newGateway(t, { flags });
    await gateway.subscribe(NAME);
    await gateway.post("1");
    const module = `
      import { Subscriber, ack } from "@mmsmo/gateway-client";
      const subscriber = new Subscriber({ target: "${gateway.target}" });
      await subscriber.run("${NAME}", () => {
        subscriber.stop();
        console.log("handled");
        return ack();
      });`;
    assert.equal(
      (await output(module, { grpc_proxy: proxy, http_proxy: proxy, https_proxy: proxy })).trim(),
      "handled",
    );
  }
});
