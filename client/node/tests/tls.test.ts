import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { promisify } from "node:util";

import { connect, fromEarliest, tokenFile, type SubscriberOptions, type TlsOptions } from "@mmsmo/gateway-client";
import { NAME, consume, newGateway, until } from "./harness.js";

const SECRET = "a-token-that-is-long-enough-to-be-secret";
const NEW_KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];

/** Signs certificates, and keeps them as files. */
class Authority {
  readonly #directory: string;

  private constructor(directory: string) {
    this.#directory = directory;
  }

  static async make(t: TestContext): Promise<Authority> {
    const directory = await mkdtemp(join(tmpdir(), "mmsmo-"));
    t.after(() => rm(directory, { recursive: true }));
    const authority = new Authority(directory);
    await authority.#request("ca", "-addext", "basicConstraints=critical,CA:TRUE");
    return authority;
  }

  file(name: string): string {
    return join(this.#directory, name);
  }

  async read(name: string): Promise<Buffer> {
    return await readFile(this.file(name));
  }

  async write(name: string, content: string): Promise<string> {
    await writeFile(this.file(name), content, { mode: 0o600 });
    return this.file(name);
  }

  async issue(name: string): Promise<{ cert: Buffer; key: Buffer }> {
    const by = ["-CA", this.file("ca.pem"), "-CAkey", this.file("ca.key")];
    await this.#request(name, ...by, "-addext", `subjectAltName=DNS:${name}`);
    return { cert: await this.read(`${name}.pem`), key: await this.read(`${name}.key`) };
  }

  async #request(name: string, ...more: string[]): Promise<void> {
    const files = ["-out", this.file(`${name}.pem`), "-keyout", this.file(`${name}.key`)];
    await promisify(execFile)("openssl", [
      "req",
      "-x509",
      ...NEW_KEY,
      "-days",
      "1",
      "-subj",
      `/CN=${name}`,
      ...files,
      ...more,
    ]);
  }
}

/** Knows an identity by its token and one by its certificate. */
async function secureGateway(t: TestContext, authority: Authority) {
  await authority.issue("gateway");
  const token = await authority.write("token", `${SECRET}\n`);
  const config = await authority.write(
    "gateway.toml",
    `[[identity]]\nname = "by-token"\ntoken-file = "${token}"\nallow = ["admin"]\n` +
      `[[identity]]\nname = "by-certificate"\nsan = ["client"]\nallow = ["admin"]\n`,
  );
  const tls = ["cert=gateway.pem", "key=gateway.key", "client-ca=ca.pem"].flatMap((flag) => {
    const [name = "", file = ""] = flag.split("=");
    return [`--grpc-tls-${name}`, authority.file(file)];
  });
  return await newGateway(t, { flags: ["--config", config, ...tls] });
}

test("who may over TLS", async (t) => {
  const authority = await Authority.make(t);
  const gateway = await secureGateway(t, authority);
  const trusting: TlsOptions = { ca: await authority.read("ca.pem"), serverName: "gateway" };
  const { target } = gateway;
  const byToken: SubscriberOptions = { target, tls: trusting, token: tokenFile(authority.file("token")) };
  const byCertificate: SubscriberOptions = { target, tls: { ...trusting, ...(await authority.issue("client")) } };
  const services = connect(byToken);
  t.after(() => {
    services.close();
  });
  await services.subscriptions.createSubscription({ subscription: { name: NAME, startPosition: fromEarliest() } });
  for (const options of [byToken, byCertificate]) {
    await gateway.post(options === byToken ? "token" : "certificate");
    const consumer = consume(t, options);
    await until("it is handled", () => consumer.handled === 1);
    await consumer.finish();
  }
  await consume(t, { target, tls: trusting }).endsWith("UNAUTHENTICATED");
  await consume(t, { target, tls: trusting, token: "another" }).endsWith("UNAUTHENTICATED");
});

test("a gateway that is not trusted gets nothing", async (t) => {
  const authority = await Authority.make(t);
  const { target } = await secureGateway(t, authority);
  const ca = await authority.read("ca.pem");
  const otherCa = await (await Authority.make(t)).read("ca.pem");
  for (const tls of [{ ca }, { ca: otherCa, serverName: "gateway" }, true] satisfies SubscriberOptions["tls"][]) {
    const consumer = consume(t, { target, tls, token: SECRET });
    await until("it is refused", () => consumer.disconnected.length > 0);
    assert.equal(consumer.disconnected[0]?.code, "UNAVAILABLE");
    assert.match(consumer.disconnected[0].message, /certificate|altnames/);
  }
});
