import { lookup } from "node:dns/promises";
import { BlockList, isIP } from "node:net";

/** Environment variable of the control plane: `1` lets webhooks reach this very machine, for tests and local use; http too. */
export const loopbackVariable = "ESPALIER_WEBHOOKS_LOOPBACK";

const notPublic = new BlockList();
// Sources: the special-purpose address registries of IANA (RFC 6890 and its successors).
for (const [address, prefix] of [
  ["0.0.0.0", 8],
  ["10.0.0.0", 8],
  ["100.64.0.0", 10],
  ["127.0.0.0", 8],
  ["169.254.0.0", 16],
  ["172.16.0.0", 12],
  ["192.0.0.0", 24],
  ["192.0.2.0", 24],
  ["192.88.99.0", 24],
  ["192.168.0.0", 16],
  ["198.18.0.0", 15],
  ["198.51.100.0", 24],
  ["203.0.113.0", 24],
  ["224.0.0.0", 4],
  ["240.0.0.0", 4],
] as const) {
  notPublic.addSubnet(address, prefix, "ipv4");
}
// Tunnels (Teredo, 6to4) carry any IPv4 address inside.
for (const [address, prefix] of [
  ["2001::", 23],
  ["2001:db8::", 32],
  ["2002::", 16],
  ["3fff::", 20],
] as const) {
  notPublic.addSubnet(address, prefix, "ipv6");
}
const globalUnicast = new BlockList();
globalUnicast.addSubnet("2000::", 3, "ipv6");

const loopback = new BlockList();
loopback.addSubnet("127.0.0.0", 8, "ipv4");
loopback.addAddress("::1", "ipv6");

/** The IPv4 address inside `::ffff:a.b.c.d`, in either spelling. */
function unmapped(address: string): string {
  const [, dotted, high, low] =
    /^::ffff:(?:(\d+\.\d+\.\d+\.\d+)|([0-9a-f]{1,4}):([0-9a-f]{1,4}))$/i.exec(address) ?? [];
  if (dotted !== undefined) return dotted;
  if (high === undefined || low === undefined) return address;
  const [a, b] = [Number.parseInt(high, 16), Number.parseInt(low, 16)];
  return [a >> 8, a & 255, b >> 8, b & 255].join(".");
}

export function isPublicAddress(given: string): boolean {
  const address = unmapped(given);
  const kind = isIP(address);
  if (kind === 4) return !notPublic.check(address, "ipv4");
  return kind === 6 && globalUnicast.check(address, "ipv6") && !notPublic.check(address, "ipv6");
}

export function isLoopbackAddress(given: string): boolean {
  const address = unmapped(given);
  const kind = isIP(address);
  return kind !== 0 && loopback.check(address, kind === 4 ? "ipv4" : "ipv6");
}

/** Why a webhook can not go there; the text has nothing in it that its sender did not send. */
export class RefusedAddress extends Error {
  override readonly name = "RefusedAddress";
  /** The name could not be looked up just now; it may be again. */
  readonly isPassing: boolean;
  constructor(message: string, options: ErrorOptions & { isPassing?: boolean } = {}) {
    super(message, options);
    this.isPassing = options.isPassing ?? false;
  }
}

const lookupTimeoutMilliseconds = 5_000;

/**
 * The address to connect to, checked: all that the host's name stands for must be public, so that no name leads into this machine, its network
 * or its cloud's metadata service. Throws RefusedAddress.
 */
export async function addressOf(
  url: URL,
  options: { allowLoopback?: boolean } = {},
): Promise<{ address: string; family: 4 | 6 }> {
  const allowLoopback = options.allowLoopback ?? process.env[loopbackVariable] === "1";
  const host = url.hostname.replace(/^\[(.*)\]$/, "$1");
  const found = await withTimeout(host, lookup(host, { all: true, verbatim: true }));
  const isLoopback = found.length > 0 && found.every(({ address }) => isLoopbackAddress(address));
  if (url.protocol !== "https:" && !(allowLoopback && isLoopback)) {
    throw new RefusedAddress(`Invalid webhook URL scheme: '${url.protocol.slice(0, -1)}'. Allowed schemes are: https.`);
  }
  const first = found[0];
  const isAllowed = found.every(({ address }) => isPublicAddress(address)) || (allowLoopback && isLoopback);
  if (first === undefined || !isAllowed) {
    throw new RefusedAddress(`Webhook URL must not resolve to a non-public IP address: '${host}' does.`);
  }
  return { address: first.address, family: first.family === 6 ? 6 : 4 };
}

async function withTimeout<Value>(host: string, looking: Promise<Value>): Promise<Value> {
  const timeout = Promise.withResolvers<never>();
  const timer = setTimeout(
    () => timeout.reject(new RefusedAddress(`Timed out resolving Webhook URL hostname '${host}'`, { isPassing: true })),
    lookupTimeoutMilliseconds,
  );
  try {
    return await Promise.race([looking, timeout.promise]);
  } catch (cause) {
    if (cause instanceof RefusedAddress) throw cause;
    throw new RefusedAddress(`Cannot resolve Webhook URL hostname '${host}'`, { cause, isPassing: true });
  } finally {
    clearTimeout(timer);
  }
}
