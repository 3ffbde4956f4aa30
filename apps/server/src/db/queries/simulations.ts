import { EspalierError, type Json } from "@espalier/core";
import type { Selectable } from "kysely";
import type { RecordDatabase } from "../database.ts";
import { fromJson, present } from "../json.ts";
import { keyset, type Page, type PageRequest } from "../page.ts";
import type { SimulationsTable } from "../schema/operations.ts";

export type SimulationState = "running" | "succeeded" | "failed" | "cancelled";

export interface SimulationRow {
  id: string;
  endpoint: string;
  state: SimulationState;
  /** Days done, rows, requests: whatever a face shows and a restart needs. */
  progress: Json;
  startedAt: number;
  finishedAt?: number;
}

export interface SimulationQueries {
  /** Idempotent on the id. */
  start(simulation: Pick<SimulationRow, "id" | "endpoint" | "progress">): Promise<SimulationRow>;
  /** Only a running simulation changes: CONFLICT otherwise. */
  update(id: string, patch: { state?: SimulationState; progress?: Json }): Promise<SimulationRow>;
  get(id: string): Promise<SimulationRow | undefined>;
  /** Newest first. */
  list(page: PageRequest): Promise<Page<SimulationRow>>;
}

export function createSimulationQueries(database: RecordDatabase): SimulationQueries {
  const { kysely, projectId } = database;
  const get = async (id: string): Promise<SimulationRow | undefined> => {
    const row = await kysely
      .selectFrom("simulations")
      .selectAll()
      .where("project_id", "=", projectId)
      .where("simulation_id", "=", id)
      .executeTakeFirst();
    return row === undefined ? undefined : toRow(row);
  };
  return {
    start: async ({ id, endpoint, progress }) => {
      await kysely
        .insertInto("simulations")
        .values({
          project_id: projectId,
          simulation_id: id,
          endpoint,
          state: "running",
          progress: JSON.stringify(progress),
          started_at: database.now,
        })
        .onConflict((conflict) => conflict.doNothing())
        .execute();
      return (await get(id)) as SimulationRow;
    },
    update: async (id, patch) => {
      const row = await kysely
        .updateTable("simulations")
        .set({
          state: patch.state ?? "running",
          ...(patch.progress === undefined ? {} : { progress: JSON.stringify(patch.progress) }),
          ...(patch.state === undefined || patch.state === "running" ? {} : { finished_at: database.now }),
        })
        .where("project_id", "=", projectId)
        .where("simulation_id", "=", id)
        .where("state", "=", "running")
        .returningAll()
        .executeTakeFirst();
      if (row !== undefined) return toRow(row);
      const present = await get(id);
      if (present === undefined) throw new EspalierError("NOT_FOUND", `There is no simulation ${id}`);
      throw new EspalierError("CONFLICT", `Simulation ${id} has ended: ${present.state}`);
    },
    get,
    list: async (request) => {
      const keys = keyset(request, "descending", { started_at: "integer", simulation_id: "text" });
      const rows = await kysely
        .selectFrom("simulations")
        .selectAll()
        .where("project_id", "=", projectId)
        .where(keys.after)
        .orderBy("started_at", "desc")
        .orderBy("simulation_id", "desc")
        .limit(keys.fetch)
        .execute();
      return keys.page(rows, (row) => [row.started_at, row.simulation_id], toRow);
    },
  };
}

function toRow(row: Selectable<SimulationsTable>): SimulationRow {
  return {
    id: row.simulation_id,
    endpoint: row.endpoint,
    state: row.state as SimulationState,
    progress: fromJson(row.progress),
    startedAt: row.started_at,
    ...present("finishedAt", row.finished_at),
  };
}
