import type { Role, RoutePolicy } from "@espalier/contract";
import { EspalierError } from "@espalier/core";

/** Who sent a request. */
export interface Principal {
  /** As audit rows name it: `owner`, `token:ci`, `attempt:01J...`, `loopback`. */
  actor: string;
  /** `loopback`: a process of this machine without a token, whom only the MLflow face knows. */
  grant: { kind: "role"; role: Role } | { kind: "attempt"; attemptId: string; runId: string } | { kind: "loopback" };
}

/** Finds the principal of a bearer token; undefined when it is unknown, revoked or expired. RATE_LIMITED: the address guesses. */
export type VerifyToken = (token: string, address?: string) => Promise<Principal | undefined>;

/** `open` needs no token at all: health and metrics. The `mlflow` ones are for that face: steps and tokenless loopback too. */
export type ServerPolicy = RoutePolicy | MlflowPolicy | "open";
export type MlflowPolicy = "mlflow-read" | "mlflow-write";

const ranks: Record<Role, number> = { viewer: 1, editor: 2, admin: 3 };

/** Throws unless the policy lets the principal in. */
export function authorize(
  policy: RoutePolicy | MlflowPolicy,
  principal: Principal,
  attemptId: string | undefined,
): void {
  const { grant } = principal;
  if (policy === "signed") return;
  if (policy === "mlflow-read" || policy === "mlflow-write") {
    if (grant.kind === "role") requireRole(grant.role, policy === "mlflow-read" ? "viewer" : "editor");
    return;
  }
  if (policy === "attempt") {
    if (grant.kind === "attempt" && grant.attemptId === attemptId) return;
    throw denied("This route is for the attempt itself");
  }
  if (grant.kind !== "role")
    throw denied("An attempt's token opens only the routes of its attempt and the MLflow face");
  requireRole(grant.role, policy);
}

function requireRole(held: Role, needed: Role): void {
  if (ranks[held] < ranks[needed]) throw denied(`The role ${held} may not do this; it needs ${needed}`);
}

function denied(message: string): EspalierError {
  return new EspalierError("PERMISSION_DENIED", message, {
    hint: "Ask an admin for a token with that role: `espalier token create`.",
  });
}
