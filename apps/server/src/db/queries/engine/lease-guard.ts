import { EspalierError } from "@espalier/core";
import { sql } from "kysely";
import type { RecordDatabase, RecordTransaction } from "../../database.ts";

/**
 * Reserves event numbers on the run's row and checks the lease in the same statement. The row stays locked until the transaction ends,
 * so that everything that touches a run happens one after the other. Returns the first reserved number.
 */
export async function holdLease(
  database: RecordDatabase,
  transaction: RecordTransaction,
  runId: string,
  epoch: number | undefined,
  events: number,
): Promise<number> {
  let update = transaction
    .updateTable("pipeline_runs")
    .set({ last_event: sql<number>`last_event + ${sql.lit(events)}` })
    .where("project_id", "=", database.projectId)
    .where("run_id", "=", runId);
  if (epoch !== undefined) update = update.where("lease_epoch", "=", epoch);
  const row = await update.returning("last_event").executeTakeFirst();
  if (row !== undefined) return row.last_event - events + 1;
  const present = await transaction
    .selectFrom("pipeline_runs")
    .select("lease_epoch")
    .where("project_id", "=", database.projectId)
    .where("run_id", "=", runId)
    .executeTakeFirst();
  if (present === undefined) throw new EspalierError("NOT_FOUND", `There is no run ${runId}`);
  throw new EspalierError("CONFLICT", `The lease of run ${runId} has moved on`, {
    hint: "Another control plane drives this run now; follow it with `espalier logs --follow`.",
    details: { runId, epoch, current: present.lease_epoch },
  });
}

/** Gives back numbers that were reserved and not used, under the same lock. */
export async function giveBack(
  database: RecordDatabase,
  transaction: RecordTransaction,
  runId: string,
  unused: number,
): Promise<void> {
  if (unused === 0) return;
  await transaction
    .updateTable("pipeline_runs")
    .set({ last_event: sql<number>`last_event - ${sql.lit(unused)}` })
    .where("project_id", "=", database.projectId)
    .where("run_id", "=", runId)
    .execute();
}

/** The states that a transition may leave: terminal ones never change, whatever the caller says. */
export function leavable<State extends string>(from: readonly State[], terminal: readonly State[]): State[] {
  const states = from.filter((state) => !terminal.includes(state));
  if (states.length > 0) return states;
  throw new EspalierError("CONFLICT", `A terminal state never changes, so nothing can leave ${from.join(" or ")}`);
}

export function wrongState(
  what: string,
  present: string | undefined,
  from: readonly string[],
  to: string,
): EspalierError {
  if (present === undefined) return new EspalierError("NOT_FOUND", `There is no ${what}`);
  return new EspalierError(
    "CONFLICT",
    `${what} is ${present}, so it can not become ${to} (expected ${from.join(" or ")})`,
    {
      details: { what, state: present, from, to },
    },
  );
}
