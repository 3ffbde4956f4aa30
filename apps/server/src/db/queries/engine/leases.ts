import { EspalierError, type Lease, type RunRow, terminalRunStates } from "@espalier/core";
import { sql } from "kysely";
import type { RecordDatabase } from "../../database.ts";
import { readRun } from "./create-run.ts";
import { insertEvents } from "./run-events.ts";

/** A control plane that drives more than this at once has other worries; the rest is claimed at the next call. */
const claimedAtOnce = 1000;

export async function claimRuns(database: RecordDatabase, owner: string, leaseSeconds: number): Promise<RunRow[]> {
  const free = database.kysely
    .selectFrom("pipeline_runs")
    .select("run_id")
    .where("project_id", "=", database.projectId)
    .where("state", "in", ["queued", "running"])
    .where((columns) => columns.or([columns("lease_until", "is", null), columns("lease_until", "<", database.now)]))
    .orderBy("created_at")
    .orderBy("run_id")
    .limit(claimedAtOnce);
  // The engine asks again and again: with nothing to take no write lock is wanted.
  if ((await free.limit(1).execute()).length === 0) return [];
  return database.transaction(async (transaction) => {
    const candidates = database.kind === "postgres" ? free.forUpdate().skipLocked() : free;
    const claimed = await transaction
      .updateTable("pipeline_runs")
      .set({
        lease_owner: owner,
        lease_epoch: sql<number>`lease_epoch + 1`,
        lease_until: sql<number>`${database.now} + ${Math.round(leaseSeconds * 1000)}`,
        last_event: sql<number>`last_event + 1`,
      })
      .where("project_id", "=", database.projectId)
      .where("run_id", "in", candidates)
      .returning(["run_id", "last_event", "lease_epoch"])
      .execute();
    const runs: RunRow[] = [];
    for (const one of claimed) {
      await insertEvents(database, transaction, one.run_id, one.last_event, [
        { type: "run.claimed", payload: { owner, epoch: one.lease_epoch } },
      ]);
      const run = await readRun(database, transaction, one.run_id);
      if (run !== undefined) runs.push(run);
    }
    return runs.sort((a, b) => a.createdAt - b.createdAt || (a.id < b.id ? -1 : 1));
  });
}

/** Variables of one statement are bounded. */
const renewedAtOnce = 500;

export async function renewLeases(
  database: RecordDatabase,
  leases: readonly Lease[],
  leaseSeconds: number,
): Promise<(Lease & { cancelRequested: boolean })[]> {
  const renewed: (Lease & { cancelRequested: boolean })[] = [];
  for (let start = 0; start < leases.length; start += renewedAtOnce) {
    const some = leases.slice(start, start + renewedAtOnce);
    const values = some.map(({ runId, epoch }) => sql`(${runId}, cast(${epoch} as bigint))`);
    const rows = await database.kysely
      .updateTable("pipeline_runs")
      .set({ lease_until: sql<number>`${database.now} + ${Math.round(leaseSeconds * 1000)}` })
      .where("project_id", "=", database.projectId)
      .where(sql<boolean>`(run_id, lease_epoch) in (values ${sql.join(values)})`)
      .where("state", "not in", [...terminalRunStates])
      .returning(["run_id", "lease_epoch", "cancel_requested"])
      .execute();
    for (const row of rows) {
      renewed.push({ runId: row.run_id, epoch: row.lease_epoch, cancelRequested: row.cancel_requested === 1 });
    }
  }
  return renewed;
}

/** Only for SQLite, whose one owner knows by its lock that every earlier owner is dead: their leases need not run out first. */
export async function dropLeases(database: RecordDatabase): Promise<void> {
  await database.kysely
    .updateTable("pipeline_runs")
    .set({ lease_owner: null, lease_until: null })
    .where("project_id", "=", database.projectId)
    .where("state", "in", ["queued", "running"])
    .execute();
}

export async function requestCancel(database: RecordDatabase, runId: string): Promise<void> {
  await database.transaction(async (transaction) => {
    const asked = await transaction
      .updateTable("pipeline_runs")
      .set({ cancel_requested: 1, last_event: sql<number>`last_event + 1` })
      .where("project_id", "=", database.projectId)
      .where("run_id", "=", runId)
      .where("cancel_requested", "=", 0)
      .where("state", "not in", [...terminalRunStates])
      .returning("last_event")
      .executeTakeFirst();
    if (asked !== undefined) {
      await insertEvents(database, transaction, runId, asked.last_event, [
        { type: "run.cancel_requested", payload: {} },
      ]);
      return;
    }
    const run = await readRun(database, transaction, runId);
    if (run === undefined) throw new EspalierError("NOT_FOUND", `There is no run ${runId}`);
    if (!run.cancelRequested) {
      throw new EspalierError("CONFLICT", `Run ${runId} has ${run.state} already`, {
        hint: "A finished run can not be cancelled.",
      });
    }
  });
}
