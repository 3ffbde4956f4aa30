import { createHash, timingSafeEqual } from "node:crypto";
import type { TokenQueries } from "../db/queries/tokens.ts";
import type { VerifyToken } from "./principal.ts";

/** The owner's token of this machine, then the tokens on record. */
export function tokenVerifier(ownerToken: string, tokens: TokenQueries): VerifyToken {
  const wanted = digest(ownerToken);
  return async (token) => {
    if (timingSafeEqual(wanted, digest(token))) return { actor: "owner", grant: { kind: "role", role: "admin" } };
    const row = await tokens.verify(token);
    if (row === undefined) return undefined;
    if (row.scope.kind === "project") return { actor: `token:${row.name}`, grant: { kind: "role", role: row.role } };
    if (row.scope.kind !== "attempt") return undefined;
    return { actor: `attempt:${row.scope.id}`, grant: { kind: "attempt", attemptId: row.scope.id, runId: row.name } };
  };
}

/** Of equal length whatever is sent, so that the comparison takes equal time. */
function digest(token: string): Buffer {
  return createHash("sha256").update(token).digest();
}
