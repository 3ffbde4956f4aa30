import { createHash, timingSafeEqual } from "node:crypto";
import { EspalierError } from "@espalier/core";
import type { TokenQueries } from "../db/queries/tokens.ts";
import type { VerifyToken } from "./principal.ts";
import { createRecentSet } from "./recent-set.ts";
import { type BucketOptions, createTokenBuckets } from "./token-buckets.ts";

export interface SignInLimits extends Partial<BucketOptions> {
  /** Told of each failed sign-in that counts, never with the token. */
  onFailure?(address: string): void;
}

/**
 * The owner's token of this machine, then the tokens on record. An address that keeps guessing is refused with RATE_LIMITED before its guess
 * is looked at; that harms neither the owner nor tokens that were good a moment ago, and a client that goes on with its one dead token
 * counts once.
 */
export function tokenVerifier(
  ownerToken: string,
  tokens: Pick<TokenQueries, "verify">,
  limits: SignInLimits = {},
): VerifyToken {
  const wanted = digest(ownerToken);
  const failures = createTokenBuckets({ perSecond: 1, burst: 30, ...limits });
  const known = createRecentSet(10_000, 600_000, limits.now);
  const dead = createRecentSet(10_000, 60_000, limits.now);
  return async (token, address = "") => {
    const hash = digest(token);
    if (timingSafeEqual(wanted, hash)) return { actor: "owner", grant: { kind: "role", role: "admin" } };
    const name = hash.toString("base64");
    if (dead.has(name)) return undefined;
    const place = network(address);
    const wait = known.has(name) ? 0 : failures.wait(place);
    if (wait > 0) throw tooManyFailures(wait);
    const row = await tokens.verify(token);
    if (row === undefined) {
      failures.take(place);
      known.delete(name);
      dead.add(name);
      limits.onFailure?.(address);
      return undefined;
    }
    known.add(name);
    if (row.scope.kind === "project") return { actor: `token:${row.name}`, grant: { kind: "role", role: row.role } };
    if (row.scope.kind !== "attempt") return undefined;
    return { actor: `attempt:${row.scope.id}`, grant: { kind: "attempt", attemptId: row.scope.id, runId: row.name } };
  };
}

/** Of equal length whatever is sent, so that the comparison takes equal time. */
function digest(token: string): Buffer {
  return createHash("sha256").update(token).digest();
}

/** Whoever has one IPv6 address has 2^64 of them. */
function network(address: string): string {
  if (!address.includes(":") || address.includes(".")) return address;
  const [left = "", right = ""] = address.split("::");
  const groups = left.split(":");
  const missing = 8 - groups.length - (right === "" ? 0 : right.split(":").length);
  const all = address.includes("::") ? [...groups, ...Array(Math.max(0, missing)).fill("0"), right] : groups;
  return all.slice(0, 4).join(":");
}

function tooManyFailures(milliseconds: number): EspalierError {
  return new EspalierError("RATE_LIMITED", "Too many sign-ins from this address have failed", {
    details: { retryAfterSeconds: Math.ceil(milliseconds / 1000) },
    hint: "Wait a moment, and check the token.",
  });
}
