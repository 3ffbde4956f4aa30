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
  /** Makes a tag's new value of its old one. */
  changeTag(id: string, key: string, change: (old: string | undefined) => string): Promise<TrackedRunChange>;
}

/** Attempts and runs of pipelines whose end the engine has decided. */
const ended = sql<boolean>`(
  EXISTS (SELECT 1 FROM attempts one WHERE one.project_id = runs.project_id AND one.attempt_id = runs.run_id AND one.finished_at IS NOT NULL)
  OR EXISTS (SELECT 1 FROM pipeline_runs one WHERE one.project_id = runs.project_id AND one.run_id = runs.run_id AND one.finished_at IS NOT NULL))`;

const selectRun = `SELECT ${runColumns} FROM runs WHERE project_id = ? AND run_id = ?`;
const byId = {
  sqlite: prepared<RunRow>({ kind: "sqlite" }, selectRun),
  postgres: prepared<RunRow>({ kind: "postgres" }, selectRun),
};
/** The row stays locked, so that of two changes the second sees what the first made. */
const toChange = {
  sqlite: byId.sqlite,
  postgres: prepared<RunRow>({ kind: "postgres" }, `${selectRun} FOR NO KEY UPDATE`),
};

/** Changes a run in a transaction; `work` answers undefined when it did. */
export function changeRun<Outcome>(
  database: RecordDatabase,
  id: string,
  allowed: "active" | "any",
  work: (transaction: RecordTransaction, run: RunRow) => Promise<Outcome | undefined>,
): Promise<Outcome | TrackedRunChange> {
  const find = byId[database.kind];
  return database.transaction(async (transaction) => {
    const run = await toChange[database.kind].first(transaction, [database.projectId, id]);
    if (run === undefined) return { kind: "missing" };
    if (allowed === "active" && run.lifecycle_stage !== "active") return { kind: "deleted" };
    const outcome = await work(transaction, run);
    if (outcome !== undefined) return outcome;
    const after = await find.first(transaction, [database.projectId, id]);
    return { kind: "changed", run: toRunInfo(after ?? run) };
  });
}

export function createTrackedRunQueries(database: RecordDatabase, writer: TrackingWriter): TrackedRunQueries {
  const { kysely, projectId } = database;
  const data = createRunDataReader(database);
  const find = (id: string): Promise<RunRow | undefined> => byId[database.kind].first(kysely, [projectId, id]);

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
      changeRun<never>(database, id, "active", async (transaction) => {
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
      changeRun<never>(database, id, "any", async (transaction) => {
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
      changeRun(database, id, "active", async (transaction) => {
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
    changeTag: (id, key, change) =>
      changeRun<never>(database, id, "active", async (transaction) => {
        const old = await transaction
          .selectFrom("tags")
          .select("value")
          .where("project_id", "=", projectId)
          .where("run_id", "=", id)
          .where("key", "=", key)
          .executeTakeFirst();
        const value = change(old?.value);
        await setTag(database, transaction, id, key, value);
        await noteTracking(database, transaction, { kind: "tags", subject: id, tags: { [key]: value } });
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
  await setTag(database, transaction, id, "mlflow.runName", name);
}

async function setTag(
  database: RecordDatabase,
  transaction: RecordTransaction,
  id: string,
  key: string,
  value: string,
): Promise<void> {
  await transaction
    .insertInto("tags")
    .values({ project_id: database.projectId, run_id: id, key, value })
    .onConflict((conflict) => conflict.columns(["project_id", "run_id", "key"]).doUpdateSet({ value }))
    .execute();
}
