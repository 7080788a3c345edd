/**
 * Gives a test a gateway of its own.
 *
 *     const gateway = await startGateway(t);
 *     await gateway.subscribe("billing");
 *     await gateway.post("message-1");
 *     const subscriber = new Subscriber({ target: gateway.target });
 */
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";

import { connect, type Services } from "./services.js";
import { fromEarliest } from "./start.js";

const PATH = "/postbacks/mms-mo";
const PATIENCE_MS = 10_000; // for the gateway to begin, to end, and to answer

/** What node:test gives a test: `after` is called at its end. */
export interface Test {
  after(end: () => Promise<void>): void;
}

export interface GatewayOptions {
  /** The gateway's path; without it, the environment variable MMSMO_GATEWAY, else mmsmo-gateway on the PATH. */
  readonly binary?: string;
  /** More of the gateway's flags, such as ["--resume-window", "1s"]. */
  readonly flags?: readonly string[];
}

type SubscriptionSettings = NonNullable<Parameters<Services["subscriptions"]["createSubscription"]>[0]["subscription"]>;

/**
 * Starts `mmsmo-gateway --ephemeral` and waits until it serves: its journal is temporary, its ports are free ones of
 * this machine, and it ends with the test, or with this program.
 */
export async function startGateway(t: Test, options: GatewayOptions = {}): Promise<Gateway> {
  const binary = options.binary ?? process.env.MMSMO_GATEWAY ?? "mmsmo-gateway";
  const child = spawn(binary, ["--ephemeral", ...(options.flags ?? [])], { stdio: "pipe" });
  let log = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => (log += text));
  const addresses = await addressesOf(child, binary, () => log);
  const gateway = new Gateway(child, addresses, () => log);
  t.after(() => gateway.stop());
  return gateway;
}

interface Addresses {
  readonly http: string;
  readonly grpc: string;
  readonly admin: string;
}

async function addressesOf(child: ChildProcess, binary: string, log: () => string): Promise<Addresses> {
  const impatience = setTimeout(() => child.kill("SIGKILL"), PATIENCE_MS);
  const failed = new Promise<never>((_, reject) => {
    child.once("error", (error) => {
      reject(new Error(`${binary}: ${error.message}; give its path as binary or MMSMO_GATEWAY`));
    });
    child.once("exit", () => {
      reject(new Error(`${binary} did not begin:\n${log()}`));
    });
  });
  try {
    if (child.stdout === null) throw new Error("it has no standard output");
    const [line] = (await Promise.race([once(createInterface({ input: child.stdout }), "line"), failed])) as [string];
    return JSON.parse(line) as Addresses;
  } finally {
    clearTimeout(impatience);
  }
}

/** A gateway that runs. Its methods fail where it does not do what they ask. */
export class Gateway {
  /** Where its services are, for a Subscriber. */
  readonly target: string;
  /** Takes postbacks. */
  readonly url: string;
  /** Has /healthz, /readyz and /metrics. */
  readonly adminUrl: string;
  readonly services: Services;
  readonly #child: ChildProcess;
  readonly #log: () => string;
  readonly #ended: Promise<unknown>;
  #wasKilled = false;

  /** For startGateway. */
  constructor(child: ChildProcess, { http, grpc, admin }: Addresses, log: () => string) {
    this.target = grpc;
    this.url = `http://${http}${PATH}`;
    this.adminUrl = `http://${admin}`;
    this.services = connect({ target: grpc });
    this.#child = child;
    this.#log = log;
    this.#ended = once(child, "close");
  }

  /** What it has logged. */
  get log(): string {
    return this.#log();
  }

  /** Makes a named subscription to everything from the earliest event on; `settings` may say otherwise. */
  async subscribe(name: string, settings: SubscriptionSettings = {}): Promise<void> {
    const subscription = { name, startPosition: fromEarliest(), ...settings };
    await this.services.subscriptions.createSubscription({ subscription }, { timeoutMs: PATIENCE_MS });
  }

  /** Posts a sample, and returns the event's cursor once it is durable. */
  async post(trackingId: string): Promise<string> {
    return await this.postBody(sample(trackingId));
  }

  /** Posts a body in XML, which must be accepted, and returns the event's cursor. */
  async postBody(body: string): Promise<string> {
    const answer = await fetch(this.url, {
      method: "POST",
      headers: { "content-type": "application/xml" },
      body,
      signal: AbortSignal.timeout(PATIENCE_MS),
    });
    const said = (await answer.json()) as { outcome: string; cursor: string };
    if (said.outcome === "accepted") return said.cursor;
    throw new Error(`the postback was answered ${answer.status.toString()}: ${JSON.stringify(said)}\n${this.log}`);
  }

  /** Ends it before the test does, and fails where it ends badly. */
  async stop(): Promise<void> {
    this.services.close();
    this.#child.stdin?.end();
    const impatience = setTimeout(() => this.#child.kill("SIGKILL"), PATIENCE_MS);
    await this.#ended;
    clearTimeout(impatience);
    if (this.#child.exitCode !== 0 && !this.#wasKilled) throw new Error(`the gateway ended badly:\n${this.log}`);
  }

  /** Ends it as a crash would. */
  async kill(): Promise<void> {
    this.#wasKilled = true;
    this.#child.kill("SIGKILL");
    await this.#ended;
  }
}

/** A postback as the provider has it, in XML. */
export function sample(trackingId: string): string {
  const id = trackingId.replace(/[<>&]/g, (character) => `&#${character.charCodeAt(0).toString()};`);
  return (
    "<postback><origin>MMS_MO</origin><code>N401</code><from>14082257140</from><to>28444</to>" +
    `<tracking-id>${id}</tracking-id><timestamp>2026-04-24T18:34:00Z</timestamp>` +
    "<content><file>https://files.example.com/MMS_MO/photo.jpg</file></content></postback>"
  );
}
