import { isIP } from "node:net";
import { EspalierError } from "@espalier/core";

export interface HostPolicy {
  /** Further names under which clients reach this control plane (that of `control_plane.url`). */
  names: readonly string[];
  /** true: bound beyond loopback, so other addresses of this machine are fine too (never names that were not declared). */
  remote: boolean;
}

/**
 * A page on the internet can make a browser send requests to 127.0.0.1 under a name of its own (DNS rebinding). So Host must be an address
 * or a declared name, and Origin, where a browser sends one, must be where the request went.
 */
export function checkHost(policy: HostPolicy, host: string | undefined, origin: string | undefined): void {
  const parsed = parseAuthority(host);
  if (parsed === undefined || !isAllowed(policy, parsed.hostname)) {
    throw new EspalierError("FOREIGN_HOST", "The request names a host that is not this control plane", {
      details: { host: parsed?.hostname ?? null },
      hint: "Use the address that `espalier up` prints, or declare the name as `control_plane.url` in espalier.yaml.",
    });
  }
  if (origin === undefined) return;
  const from = URL.canParse(origin) ? new URL(origin) : undefined;
  if (from === undefined || (from.protocol !== "http:" && from.protocol !== "https:") || from.host !== parsed.host) {
    throw new EspalierError("FOREIGN_HOST", "The request comes from a page of another origin", {
      hint: "Only pages that this control plane serves may call it.",
    });
  }
}

/** Only as a client writes it: a number, octal digits or a short form that would come to be 127.0.0.1 is not how anybody calls us. */
function parseAuthority(host: string | undefined): URL | undefined {
  if (host === undefined || !URL.canParse(`http://${host}`)) return undefined;
  const parsed = new URL(`http://${host}`);
  const written = host.toLowerCase().replace(/:80$/, "");
  return parsed.host === written ? parsed : undefined;
}

function isAllowed(policy: HostPolicy, hostname: string): boolean {
  if (policy.names.includes(hostname)) return true;
  if (isLoopback(hostname)) return true;
  return policy.remote && isIP(bare(hostname)) !== 0;
}

/** 127.0.0.0/8, ::1 and `localhost`. */
export function isLoopback(hostname: string): boolean {
  const address = bare(hostname);
  return address === "localhost" || address === "::1" || (isIP(address) === 4 && address.startsWith("127."));
}

const bare = (hostname: string): string => hostname.replace(/^\[(.*)\]$/, "$1");
