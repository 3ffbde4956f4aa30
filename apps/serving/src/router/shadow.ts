import type { ShadowCounts } from "@espalier/core";
import { compareAnswers } from "./compare-answers.ts";
import type { Answer, ReplicaRequest } from "./dispatch.ts";
import type { Upstreams } from "./upstreams.ts";
import type { VersionPool } from "./version-pool.ts";

export type ShadowTally = ShadowCounts;

const defaultConcurrency = 16;
const timeoutMilliseconds = 30_000;

/**
 * Asks versions that only watch the same question, once the caller has the answer. Nobody waits for them: what the budget does not hold is
 * dropped and counted, and a fault of theirs is a count.
 */
export class Shadows {
  readonly #upstreams: Upstreams;
  #inFlight = 0;

  constructor(upstreams: Upstreams) {
    this.#upstreams = upstreams;
  }

  /** `asked` is the version that answered. */
  mirror(request: ReplicaRequest, answer: Answer, asked: VersionPool): void {
    const { inForce } = this.#upstreams;
    for (const pool of inForce?.pools ?? []) {
      const share = pool.target.mirror ?? 0;
      if (share <= 0 || pool === asked || (share < 1 && Math.random() >= share)) continue;
      pool.shadow ??= newTally();
      const limit = inForce?.state.limits?.shadowConcurrency ?? defaultConcurrency;
      const replica = this.#inFlight < limit ? pool.take() : undefined;
      if (replica === undefined) {
        pool.shadow.dropped++;
        continue;
      }
      this.#inFlight++;
      pool.shadow.mirrored++;
      void replica
        .send(request, timeoutMilliseconds)
        .then(
          (shadowed) => note(pool.shadow as ShadowTally, answer, shadowed),
          () => {
            // Broken, late or refused: the shadow failed, which is what there is to know.
            (pool.shadow as ShadowTally).failed++;
            void this.#upstreams.look(pool, replica);
          },
        )
        .finally(() => {
          this.#inFlight--;
          pool.release(replica);
          this.#upstreams.closeIfIdle(replica);
        });
    }
  }
}

function newTally(): ShadowTally {
  return {
    mirrored: 0,
    failed: 0,
    dropped: 0,
    compared: 0,
    agreed: 0,
    numbers: 0,
    differenceSum: 0,
    differenceLargest: 0,
  };
}

function note(tally: ShadowTally, answer: Answer, shadowed: Answer): void {
  shadowed.stream?.destroy();
  if (shadowed.status >= 500) tally.failed++;
  if (shadowed.status !== 200 || shadowed.stream !== undefined || answer.stream !== undefined) return;
  const agreement = compareAnswers(answer.body, shadowed.body);
  if (agreement === undefined) return;
  tally.compared += agreement.compared;
  tally.agreed += agreement.agreed;
  tally.numbers += agreement.numbers;
  tally.differenceSum += agreement.differenceSum;
  tally.differenceLargest = Math.max(tally.differenceLargest, agreement.differenceLargest);
}
