import { sql } from "kysely";
import { bulkInsert } from "../../bulk.ts";
import type { RecordDatabase, RecordTransaction } from "../../database.ts";
import { noteTracking } from "../../mirror-changes.ts";
import { inList, listParameter, prepared } from "../../prepared.ts";
import { experimentLocation, type KeyValue } from "./experiments.ts";
import { type TrackedRun, toRunInfo } from "./run-data.ts";

/** A run of an MLflow client. */
export interface NewTrackedRun {
  id: string;
  experimentId: string;
  parentRunId: string | undefined;
  name: string;
  userId: string;
  /** ms; now, when left out. */
  startTime: number | bigint | undefined;
  /** Of each key one. */
  tags: readonly KeyValue[];
}

export type CreatedRun = { kind: "created"; run: TrackedRun } | { kind: "missing" } | { kind: "deleted" };

function statementsFor(kind: RecordDatabase["kind"]) {
  return {
    experiments: prepared<{ experiment_id: string; artifact_location: string | null; lifecycle_stage: string }>(
      { kind },
      `SELECT experiment_id, artifact_location, lifecycle_stage FROM experiments
        WHERE project_id = ? AND ${inList({ kind }, "experiment_id")}`,
    ),
    runs: bulkInsert(
      kind,
      "runs",
      {
        project_id: "text",
        run_id: "text",
        experiment_id: "text",
        parent_run_id: "text",
        kind: "text",
        run_name: "text",
        user_id: "text",
        status: "text",
        lifecycle_stage: "text",
        start_time: "integer",
        artifact_uri: "text",
      },
      "DO NOTHING",
    ),
    tags: bulkInsert(
      kind,
      "tags",
      { project_id: "text", run_id: "text", key: "text", value: "text" },
      "(project_id, run_id, key) DO UPDATE SET value = excluded.value",
    ),
  };
}

const statements = { sqlite: statementsFor("sqlite"), postgres: statementsFor("postgres") };

/** Makes runs in one transaction, each wholly or (where its experiment takes none) not at all; the ids must be new. */
export async function createRuns(
  database: RecordDatabase,
  transaction: RecordTransaction,
  runs: readonly NewTrackedRun[],
): Promise<CreatedRun[]> {
  if (runs.length === 0) return [];
  const { kind, projectId } = database;
  const statement = statements[kind];
  const rows = await statement.experiments.all(transaction, [
    projectId,
    listParameter(database, [...new Set(runs.map(({ experimentId }) => experimentId))]),
  ]);
  const experiments = new Map(rows.map((row) => [row.experiment_id, row]));
  const now = runs.some(({ startTime }) => startTime === undefined) ? await readClock(database, transaction) : 0;
  const outcomes = runs.map((run): CreatedRun => {
    const experiment = experiments.get(run.experimentId);
    if (experiment === undefined) return { kind: "missing" };
    if (experiment.lifecycle_stage !== "active") return { kind: "deleted" };
    const info = toRunInfo({
      run_id: run.id,
      experiment_id: run.experimentId,
      parent_run_id: run.parentRunId ?? null,
      kind: "external",
      run_name: run.name,
      user_id: run.userId,
      status: "RUNNING",
      lifecycle_stage: "active",
      start_time: run.startTime ?? now,
      end_time: null,
      artifact_uri: `${experimentLocation(experiment)}/${run.id}/artifacts`,
    });
    const empty = { metrics: [], params: [], datasets: [], modelInputs: [], modelOutputs: [] };
    return { kind: "created", run: { ...info, ...empty, tags: [...run.tags] } };
  });
  const made = outcomes.flatMap((outcome) => (outcome.kind === "created" ? [outcome.run] : []));
  await statement.runs.run(
    transaction,
    made.map((run) => [
      projectId,
      run.id,
      run.experimentId,
      run.parentRunId ?? null,
      run.kind,
      run.name,
      run.userId,
      run.status,
      run.lifecycleStage,
      run.startTime,
      run.artifactUri,
    ]),
  );
  await statement.tags.run(
    transaction,
    made.flatMap(({ id, tags }) => tags.map(({ key, value }) => [projectId, id, key, value])),
  );
  for (const { id } of made) await noteTracking(database, transaction, { kind: "run", subject: id });
  return outcomes;
}

async function readClock(database: RecordDatabase, transaction: RecordTransaction): Promise<number> {
  const { rows } = await sql<{ now: number }>`SELECT ${database.now} AS now`.execute(transaction);
  return rows[0]?.now ?? 0;
}
