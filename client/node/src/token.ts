import { readFile, stat } from "node:fs/promises";

import { GatewayError } from "./errors.js";

/**
 * What is sent with each call as "authorization: Bearer TOKEN": a text, or a function that gives it. The function is
 * called at the beginning of each call, and should remember a token that is still good. Its failure is the call's,
 * which is tried again.
 */
export type TokenSource = string | (() => string | Promise<string>);

/**
 * What a file holds, without the newline that may end it. The file is read again when it changes, so that a token can
 * be exchanged; one that is broken by then changes nothing.
 */
export function tokenFile(path: string): () => Promise<string> {
  let seen: string | undefined; // of the file when it was read
  let token: string | undefined;
  return async () => {
    try {
      const { dev, ino, size, mtimeNs } = await stat(path, { bigint: true });
      const now = [dev, ino, size, mtimeNs].join(" ");
      if (now !== seen) {
        token = checked(path, (await readFile(path, "utf8")).replace(/\r?\n$/, ""));
        seen = now;
      }
    } catch (error) {
      if (token === undefined) throw error;
    }
    return token ?? "";
  };
}

/** Fails with UNAVAILABLE where the source has no token. */
export async function tokenOf(source: TokenSource): Promise<string> {
  try {
    return checked("token", typeof source === "string" ? source : await source());
  } catch (error) {
    throw new GatewayError("UNAVAILABLE", `there is no token: ${String(error)}`);
  }
}

function checked(source: string, token: string): string {
  if (/^[!-~]+$/.test(token)) return token;
  throw new Error(`${source}: a token has one line of visible ASCII characters, without spaces`);
}
