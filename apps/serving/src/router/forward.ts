import { EspalierError } from "@espalier/core";
import type { Answer, ReplicaRequest } from "./dispatch.ts";
import { BrokenConnection, type Replica } from "./replica.ts";
import type { RetryBudget } from "./retry-budget.ts";
import type { Upstreams } from "./upstreams.ts";
import type { VersionPool } from "./version-pool.ts";

export interface Forwarding {
  upstreams: Upstreams;
  budget: RetryBudget;
  /** The version for this request, as the state in force has it now. Errors: UNAVAILABLE, NOT_FOUND. */
  choose(): VersionPool;
  /** `remaining` is what is left of the caller's time in milliseconds. */
  request(remaining: number): ReplicaRequest;
  /** By `performance.now()`. */
  deadline: number;
  /** Whether nobody waits for the answer any more. */
  isGone(): boolean;
  onRetry(pool: VersionPool, reason: "broken" | "unavailable"): void;
}

/** A request that breaks this many servers in a row is taken for the cause. */
const mostBroken = 4;
const mostUnavailable = 4;
const unavailableMilliseconds = 100;
/** Replacing a server that died takes its start; who waits longer is told. */
const recoveryMilliseconds = 30_000;

/**
 * Asks a replica, and another one when the connection breaks or the replica says 503, until there is an answer: a prediction may be asked
 * twice. Waits for a replica while none is free or up. Errors: RATE_LIMITED, UNAVAILABLE, TIMEOUT, NOT_FOUND, CANCELLED.
 */
export async function forward(given: Forwarding): Promise<{ answer: Answer; pool: VersionPool }> {
  let broken = 0;
  let unavailable = 0;
  let avoid: Replica | undefined;
  for (;;) {
    const pool = given.choose();
    const left = given.deadline - performance.now();
    if (left <= 0) throw new EspalierError("TIMEOUT", "The time for this request was up before it was answered");
    const replica = pool.take(avoid) ?? (await pool.wait(Math.min(left, recoveryMilliseconds), avoid));
    if (replica === undefined) continue;
    if (given.isGone()) {
      free(given, pool, replica);
      throw new EspalierError("CANCELLED", "The caller has gone before the request was sent on");
    }
    let streams = false;
    try {
      const remaining = Math.max(1, given.deadline - performance.now());
      const answer = await replica.send(given.request(remaining), remaining);
      if (answer.status === 503 && unavailable < mostUnavailable && given.budget.spend()) {
        unavailable++;
        avoid = replica;
        given.onRetry(pool, "unavailable");
        void given.upstreams.look(pool, replica);
        // Another replica can be asked at once; the same one needs time.
        if (!pool.hasOther(replica)) await pause(unavailableMilliseconds * 2 ** (unavailable - 1), given.deadline);
        continue;
      }
      if (answer.stream !== undefined) {
        streams = true;
        answer.stream.once("close", () => free(given, pool, replica));
      }
      return { answer, pool };
    } catch (error) {
      if (!(error instanceof BrokenConnection)) throw error;
      replica.up = false;
      replica.message = error.message;
      void given.upstreams.look(pool, replica);
      avoid = replica;
      if (++broken >= mostBroken || !given.budget.spend()) throw brokenError(pool, broken, error);
      given.onRetry(pool, "broken");
    } finally {
      if (!streams) free(given, pool, replica);
    }
  }
}

function free({ upstreams }: Forwarding, pool: VersionPool, replica: Replica): void {
  pool.release(replica);
  upstreams.closeIfIdle(replica);
}

function brokenError({ target }: VersionPool, times: number, cause: Error): EspalierError {
  return new EspalierError(
    "UNAVAILABLE",
    `Version ${target.version} of ${target.model} does not answer: the connection broke ${times} times, last: ${cause.message}`,
    { cause },
  );
}

async function pause(milliseconds: number, deadline: number): Promise<void> {
  const time = Math.min(milliseconds, deadline - performance.now());
  if (time > 0) await new Promise((resolve) => setTimeout(resolve, time));
}
