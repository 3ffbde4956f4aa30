import type { Role, RoutePolicy } from "@espalier/contract";
import { EspalierError } from "@espalier/core";

/** Who sent a request. */
export interface Principal {
  /** As audit rows name it: `owner`, `token:ci`, `attempt:01J...`. */
  actor: string;
  grant: { kind: "role"; role: Role } | { kind: "attempt"; attemptId: string; runId: string };
}

/** Finds the principal of a bearer token; undefined when it is unknown, revoked or expired. */
export type VerifyToken = (token: string) => Promise<Principal | undefined>;

/** `open` needs no token at all: health and metrics. */
export type ServerPolicy = RoutePolicy | "open";

const ranks: Record<Role, number> = { viewer: 1, editor: 2, admin: 3 };

/** Throws unless the policy lets the principal in. */
export function authorize(policy: RoutePolicy, principal: Principal, attemptId: string | undefined): void {
  const { grant } = principal;
  if (policy === "signed") return;
  if (policy === "attempt") {
    if (grant.kind === "attempt" && grant.attemptId === attemptId) return;
    throw denied("This route is for the attempt itself");
  }
  if (grant.kind === "attempt") throw denied("An attempt's token opens only the routes of its attempt");
  if (ranks[grant.role] < ranks[policy]) throw denied(`The role ${grant.role} may not do this; it needs ${policy}`);
}

function denied(message: string): EspalierError {
  return new EspalierError("PERMISSION_DENIED", message, {
    hint: "Ask an admin for a token with that role: `espalier token create`.",
  });
}
