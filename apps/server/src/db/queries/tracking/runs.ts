import { sql } from "kysely";
import type { RecordDatabase, RecordTransaction } from "../../database.ts";
import { noteTracking } from "../../mirror-changes.ts";
import { prepared } from "../../prepared.ts";
import type { TrackingStatus } from "../experiments.ts";
import type { LifecycleStage } from "./experiments.ts";
import {
  createRunDataReader,
  type RunDataReader,
  type RunRow,
  runColumns,
  type TrackedRun,
  type TrackedRunInfo,
  toRunInfo,
} from "./run-data.ts";
import type { TrackingWriter } from "./tracking-writer.ts";

export interface RunUpdate {
  status?: TrackingStatus;
  /** ms. */
  endTime?: number | bigint;
  name?: string;
}

export type TrackedRunChange = { kind: "changed"; run: TrackedRunInfo } | { kind: "missing" } | { kind: "deleted" };

export interface TrackedRunQueries {
  info(id: string): Promise<TrackedRunInfo | undefined>;
  get(id: string): Promise<TrackedRun | undefined>;
  /** Adds what is logged to runs that were read elsewhere, such as by a search. */
  load: RunDataReader["load"];
  create: TrackingWriter["create"];
  /** An attempt or a pipeline's run that has ended keeps the end that the engine gave it, without an error. */
  update(id: string, update: RunUpdate): Promise<TrackedRunChange>;
  /** Idempotent. Hides or shows the run on this face only; the engine's tables are not touched. */
  setStage(id: string, stage: LifecycleStage): Promise<TrackedRunChange>;
  deleteTag(id: string, key: string): Promise<TrackedRunChange | { kind: "no-tag" }>;
}

/** Attempts and runs of pipelines whose end the engine has decided. */
const ended = sql<boolean>`(
  EXISTS (SELECT 1 FROM attempts one WHERE one.project_id = runs.project_id AND one.attempt_id = runs.run_id AND one.finished_at IS NOT NULL)
  OR EXISTS (SELECT 1 FROM pipeline_runs one WHERE one.project_id = runs.project_id AND one.run_id = runs.run_id AND one.finished_at IS NOT NULL))`;

export function createTrackedRunQueries(database: RecordDatabase, writer: TrackingWriter): TrackedRunQueries {
  const { kysely, projectId } = database;
  const data = createRunDataReader(database);
  const byId = prepared<RunRow>(database, `SELECT ${runColumns} FROM runs WHERE project_id = ? AND run_id = ?`);
  const find = (id: string): Promise<RunRow | undefined> => byId.first(kysely, [projectId, id]);

  const change = <Outcome>(
    id: string,
    allowed: "active" | "any",
    work: (transaction: RecordTransaction, run: RunRow) => Promise<Outcome | undefined>,
  ): Promise<Outcome | TrackedRunChange> =>
    database.transaction(async (transaction) => {
      const run = await byId.first(transaction, [projectId, id]);
      if (run === undefined) return { kind: "missing" };
      if (allowed === "active" && run.lifecycle_stage !== "active") return { kind: "deleted" };
      const outcome = await work(transaction, run);
      if (outcome !== undefined) return outcome;
      const after = await byId.first(transaction, [projectId, id]);
      return { kind: "changed", run: toRunInfo(after ?? run) };
    });

  return {
    info: async (id) => {
      const row = await find(id);
      return row === undefined ? undefined : toRunInfo(row);
    },
    get: async (id) => {
      const row = await find(id);
      return row === undefined ? undefined : (await data.load(kysely, [row]))[0];
    },
    load: data.load,
    create: writer.create,
    update: (id, { status, endTime, name }) =>
      change<never>(id, "active", async (transaction) => {
        if (status !== undefined || endTime !== undefined) {
          await transaction
            .updateTable("runs")
            .set({
              ...(status === undefined ? {} : { status }),
              ...(endTime === undefined ? {} : { end_time: endTime as number }),
            })
            .where("project_id", "=", projectId)
            .where("run_id", "=", id)
            .where((columns) => columns.not(ended))
            .execute();
        }
        if (name !== undefined) await nameRun(database, transaction, id, name);
        await noteTracking(database, transaction, { kind: "run", subject: id });
        return undefined;
      }),
    setStage: (id, stage) =>
      change<never>(id, "any", async (transaction) => {
        await transaction
          .updateTable("runs")
          .set({ lifecycle_stage: stage, deleted_time: stage === "deleted" ? database.now : null })
          .where("project_id", "=", projectId)
          .where("run_id", "=", id)
          .execute();
        await noteTracking(database, transaction, { kind: "run", subject: id });
        return undefined;
      }),
    deleteTag: (id, key) =>
      change(id, "active", async (transaction) => {
        const deleted = await transaction
          .deleteFrom("tags")
          .where("project_id", "=", projectId)
          .where("run_id", "=", id)
          .where("key", "=", key)
          .returning("key")
          .executeTakeFirst();
        if (deleted === undefined) return { kind: "no-tag" } as const;
        await noteTracking(database, transaction, { kind: "tags", subject: id, tags: { [key]: null } });
        return undefined;
      }),
  };
}

/** A run's name and its tag `mlflow.runName` are one. */
async function nameRun(
  database: RecordDatabase,
  transaction: RecordTransaction,
  id: string,
  name: string,
): Promise<void> {
  await transaction
    .updateTable("runs")
    .set({ run_name: name })
    .where("project_id", "=", database.projectId)
    .where("run_id", "=", id)
    .execute();
  await transaction
    .insertInto("tags")
    .values({ project_id: database.projectId, run_id: id, key: "mlflow.runName", value: name })
    .onConflict((conflict) => conflict.columns(["project_id", "run_id", "key"]).doUpdateSet({ value: name }))
    .execute();
}
