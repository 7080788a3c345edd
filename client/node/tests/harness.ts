import assert from "node:assert/strict";
import { connect as dial, createServer, type AddressInfo, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import type { TestContext } from "node:test";

import {
  GatewayError,
  Subscriber,
  ack,
  type Delivery,
  type FailedAck,
  type Handler,
  type SubscriberOptions,
  type Verdict,
} from "@mmsmo/gateway-client";
import { startGateway, type Gateway, type GatewayOptions } from "@mmsmo/gateway-client/testing";

export const PATIENCE_MS = 20_000;
export const NAME = "work";

const ends = new WeakMap<TestContext, (() => unknown)[]>();

/** At the test's end, what was begun last ends first; node:test has it the other way round. */
export function atEnd(t: TestContext, end: () => unknown): void {
  const known = ends.get(t);
  if (known !== undefined) {
    known.push(end);
    return;
  }
  const stack = [end];
  ends.set(t, stack);
  t.after(async () => {
    for (const last of stack.reverse()) await last();
  });
}

export async function newGateway(t: TestContext, options: GatewayOptions = {}): Promise<Gateway> {
  const after = (end: () => Promise<void>) => {
    atEnd(t, end);
  };
  return await startGateway({ after }, options);
}

/** Waits for what will be so soon. */
export async function until(what: string, isSo: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = performance.now() + PATIENCE_MS;
  while (!(await isSo())) {
    assert.ok(performance.now() < deadline, `it does not come to this: ${what}`);
    await sleep(2);
  }
}

/** Posts so many samples, several at a time, and returns their tracking ids. */
export async function post(gateway: Gateway, count: number): Promise<string[]> {
  const ids = Array.from({ length: count }, (_, i) => `id-${i.toString().padStart(4, "0")}`);
  const left = [...ids];
  const one = async () => {
    for (let id = left.shift(); id !== undefined; id = left.shift()) await gateway.post(id);
  };
  await Promise.all(Array.from({ length: 16 }, one));
  return ids;
}

export async function subscriptionOf(gateway: Gateway) {
  const { subscription } = await gateway.services.subscriptions.getSubscription({ name: NAME });
  assert.ok(subscription);
  return subscription;
}

export async function untilDone(gateway: Gateway): Promise<void> {
  await until("all is done with", async () => (await subscriptionOf(gateway)).backlogCount === 0);
}

export function idOf(delivery: Delivery): string {
  return delivery.event.mmsMo?.trackingId ?? "";
}

/** What handlers wait at. */
export class Gate {
  open!: () => void;
  hasBegun = false;
  readonly #opened = new Promise<void>((resolve) => {
    this.open = resolve;
  });

  readonly hold = async (): Promise<Verdict> => {
    this.hasBegun = true;
    await this.#opened;
    return ack();
  };
}

/** A Subscriber that runs, and what its handler saw. */
export class Consumer {
  readonly subscriber: Subscriber;
  /** That were handled, by tracking id. */
  readonly attempts = new Map<string, number[]>();
  readonly disconnected: GatewayError[] = [];
  readonly failedAcks: FailedAck[] = [];
  readonly logged: [string, object][] = [];
  hasEnded = false;
  connected = 0;
  caughtUp = 0;
  ended: Promise<unknown> = Promise.resolve(); // with what it failed with

  constructor(options: SubscriberOptions) {
    const log = (message: string, about: object) => this.logged.push([message, about]);
    this.subscriber = new Subscriber({
      minBackoffMs: 10,
      ...options,
      logger: { warn: log, error: log },
      hooks: {
        connected: () => this.connected++,
        caughtUp: () => this.caughtUp++,
        disconnected: (why) => this.disconnected.push(why),
        ackFailed: (failed) => this.failedAcks.push(failed),
        ...options.hooks,
      },
    });
  }

  run(handler: Handler): void {
    const handle: Handler = async (delivery, signal) => {
      const verdict = await handler(delivery, signal);
      const id = idOf(delivery);
      this.attempts.set(id, [...(this.attempts.get(id) ?? []), delivery.attempt]);
      return verdict;
    };
    const run = this.subscriber.run(NAME, handle).finally(() => {
      this.hasEnded = true;
    });
    this.ended = run.then(
      () => undefined,
      (error: unknown) => error,
    );
  }

  get held(): number {
    return this.subscriber.stats.held;
  }

  get handled(): number {
    return this.attempts.size;
  }

  async finish(): Promise<void> {
    this.subscriber.stop({ mode: "finish", timeoutMs: PATIENCE_MS });
    assert.equal(await this.ended, undefined);
  }

  async endsWith(code: string): Promise<void> {
    const error = await this.ended;
    assert.ok(error instanceof GatewayError, `it ended with ${String(error)}`);
    assert.equal(error.code, code);
  }
}

/** Runs it until the test's end. */
export function consume(t: TestContext, options: SubscriberOptions, handler: Handler = () => ack()): Consumer {
  const consumer = new Consumer(options);
  consumer.run(handler);
  atEnd(t, async () => {
    consumer.subscriber.stop({ mode: "release", timeoutMs: 0 });
    await consumer.ended;
  });
  return consumer;
}

/** All of the ids were handled by one of the consumers, once. */
export function wereHandledOnce(ids: readonly string[], ...consumers: Consumer[]): void {
  const handled = consumers.flatMap(({ attempts }) => [...attempts].flatMap(([id, times]) => times.map(() => id)));
  assert.deepEqual(handled.sort(), [...ids].sort());
  for (const { failedAcks } of consumers) assert.deepEqual(failedAcks, []);
}

/** A connection's way to the gateway, on which much can go wrong. */
export class Way {
  readonly #server = createServer((client) => {
    this.#accept(client);
  });
  readonly #target: string;
  readonly #sockets = new Set<Socket>();
  #isHole = false;
  taken = 0; // connections so far

  private constructor(target: string) {
    this.#target = target;
  }

  static async to(t: TestContext, target: string): Promise<Way> {
    const way = new Way(target);
    await new Promise<void>((resolve) => way.#server.listen(0, "127.0.0.1", resolve));
    atEnd(t, () => {
      way.cut();
      way.#server.close();
    });
    return way;
  }

  get address(): string {
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port.toString()}`;
  }

  #accept(client: Socket): void {
    this.taken++;
    const [host, port] = this.#target.split(":");
    const server = dial(Number(port), host);
    for (const [from, to] of [
      [client, server],
      [server, client],
    ] as const) {
      this.#sockets.add(from);
      from.on("error", () => {});
      from.on("close", () => {
        this.#sockets.delete(from);
        to.destroy();
      });
      from.on("data", (bytes) => to.write(bytes));
      if (this.#isHole) from.pause();
    }
  }

  /** Closes every connection. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  /** Makes a black hole of the connections that there are and that come. */
  digHole(): void {
    this.#isHole = true;
    for (const socket of this.#sockets) socket.pause();
  }

  /** Lets new connections through; those in the hole stay there. */
  openWay(): void {
    this.#isHole = false;
  }
}
