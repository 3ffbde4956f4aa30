import { EspalierError, type Json, type RolloutStrategy, strategyOf } from "@espalier/core";
import type { Selectable } from "kysely";
import type { RecordDatabase } from "../database.ts";
import { fromJson, present } from "../json.ts";
import { keyset, type Page, type PageRequest } from "../page.ts";
import type { RolloutsTable } from "../schema/registry.ts";

export type RolloutState = "pending" | "running" | "succeeded" | "rolled_back" | "failed";
const activeStates: readonly RolloutState[] = ["pending", "running"];

export interface NewRollout {
  /** Minted by the caller; the same id again is the same rollout. */
  id: string;
  endpoint: string;
  model: string;
  toVersion: string;
  fromVersion?: string;
  strategy: RolloutStrategy;
  /** Share of traffic of the new version, 0 to 1. */
  weight: number;
  /** Looks taken, alpha spent, whatever the rollout needs to go on after a restart. */
  details: Json;
}

export interface RolloutRow extends NewRollout {
  state: RolloutState;
  reason?: string;
  startedAt: number;
  finishedAt?: number;
}

export interface RolloutQueries {
  /** CONFLICT while another rollout of the endpoint is active. */
  start(rollout: NewRollout): Promise<RolloutRow>;
  get(id: string): Promise<RolloutRow | undefined>;
  /** Only an active rollout changes: CONFLICT otherwise. */
  update(
    id: string,
    patch: { state?: RolloutState; weight?: number; reason?: string; details?: Json },
  ): Promise<RolloutRow>;
  active(): Promise<RolloutRow[]>;
  /** Of one endpoint, newest first. */
  list(endpoint: string, page: PageRequest): Promise<Page<RolloutRow>>;
}

export function createRolloutQueries(database: RecordDatabase): RolloutQueries {
  const { kysely, projectId } = database;
  const get = async (id: string): Promise<RolloutRow | undefined> => {
    const row = await kysely
      .selectFrom("rollouts")
      .selectAll()
      .where("project_id", "=", projectId)
      .where("rollout_id", "=", id)
      .executeTakeFirst();
    return row === undefined ? undefined : toRow(row);
  };
  return {
    start: async (rollout) => {
      const row = await kysely
        .insertInto("rollouts")
        .values({
          project_id: projectId,
          rollout_id: rollout.id,
          endpoint: rollout.endpoint,
          model: rollout.model,
          to_version: rollout.toVersion,
          from_version: rollout.fromVersion ?? null,
          strategy: rollout.strategy,
          state: "pending",
          weight: rollout.weight,
          details: JSON.stringify(rollout.details),
          started_at: database.now,
        })
        .onConflict((conflict) => conflict.doNothing())
        .returningAll()
        .executeTakeFirst();
      const present = row === undefined ? await get(rollout.id) : toRow(row);
      if (present !== undefined) return present;
      throw new EspalierError("CONFLICT", `Another rollout of ${rollout.endpoint} is under way`, {
        hint: "Wait for its end, or end it with `espalier rollback`.",
      });
    },
    get,
    update: async (id, patch) => {
      const ends = patch.state !== undefined && !activeStates.includes(patch.state);
      const row = await kysely
        .updateTable("rollouts")
        .set({
          weight: patch.weight ?? ((columns) => columns.ref("weight")),
          ...(patch.state === undefined ? {} : { state: patch.state }),
          ...(patch.reason === undefined ? {} : { reason: patch.reason }),
          ...(patch.details === undefined ? {} : { details: JSON.stringify(patch.details) }),
          ...(ends ? { finished_at: database.now } : {}),
        })
        .where("project_id", "=", projectId)
        .where("rollout_id", "=", id)
        .where("state", "in", [...activeStates])
        .returningAll()
        .executeTakeFirst();
      if (row !== undefined) return toRow(row);
      const present = await get(id);
      if (present === undefined) throw new EspalierError("NOT_FOUND", `There is no rollout ${id}`);
      throw new EspalierError("CONFLICT", `Rollout ${id} has ended: ${present.state}`);
    },
    active: async () => {
      const rows = await kysely
        .selectFrom("rollouts")
        .selectAll()
        .where("project_id", "=", projectId)
        .where("finished_at", "is", null)
        .orderBy("endpoint")
        .execute();
      return rows.map(toRow);
    },
    list: async (endpoint, request) => {
      const keys = keyset(request, "descending", { started_at: "integer", rollout_id: "text" });
      const rows = await kysely
        .selectFrom("rollouts")
        .selectAll()
        .where("project_id", "=", projectId)
        .where("endpoint", "=", endpoint)
        .where(keys.after)
        .orderBy("started_at", "desc")
        .orderBy("rollout_id", "desc")
        .limit(keys.fetch)
        .execute();
      return keys.page(rows, (row) => [row.started_at, row.rollout_id], toRow);
    },
  };
}

function toRow(row: Selectable<RolloutsTable>): RolloutRow {
  return {
    id: row.rollout_id,
    endpoint: row.endpoint,
    model: row.model,
    toVersion: row.to_version,
    ...present("fromVersion", row.from_version),
    // Rows of earlier programs say `direct`.
    strategy: strategyOf(row.strategy as Parameters<typeof strategyOf>[0]),
    state: row.state as RolloutState,
    weight: row.weight,
    ...present("reason", row.reason),
    details: fromJson(row.details),
    startedAt: row.started_at,
    ...present("finishedAt", row.finished_at),
  };
}
