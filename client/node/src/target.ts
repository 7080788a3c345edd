import { BlockList, isIP } from "node:net";

const LOOPBACK = new BlockList();
LOOPBACK.addSubnet("127.0.0.0", 8);
LOOPBACK.addAddress("::1", "ipv6");

/** Whether a target of gRPC is a unix socket or names this machine by its loopback address. */
export function isLocal(target: string): boolean {
  if (target.startsWith("unix:")) return true;
  return isLoopback(hostOf(target.replace(/^(dns|ipv4|ipv6):(\/\/[^/]*)?\/?/, "")));
}

/** Of HOST, HOST:PORT and [HOST]:PORT. */
function hostOf(authority: string): string {
  if (authority.startsWith("[")) return authority.slice(1).split("]", 1)[0] ?? "";
  if (isIP(authority) === 6) return authority;
  return authority.split(":", 1)[0] ?? "";
}

function isLoopback(host: string): boolean {
  const family = isIP(host);
  if (family !== 0) return LOOPBACK.check(host, family === 6 ? "ipv6" : "ipv4");
  return /^(.*\.)?localhost\.?$/i.test(host); // RFC 6761, 6.3
}
