import { bulkInsert } from "../../bulk.ts";
import type { RecordDatabase, RecordTransaction } from "../../database.ts";
import { TryAgain } from "../../group-commit.ts";
import { noteTracking } from "../../mirror-changes.ts";
import { inList, listParameter, prepared } from "../../prepared.ts";
import { logMetricsOfRuns } from "../metrics.ts";
import type { KeyValue } from "./experiments.ts";
import type { ChangedParam, LogEntry, LogOutcome } from "./log-entry.ts";
import { logModelMetrics, modelsElsewhere } from "./log-model-metrics.ts";

function statementsFor(kind: RecordDatabase["kind"]) {
  return {
    runs: prepared<{ run_id: string; experiment_id: string; lifecycle_stage: string }>(
      { kind },
      `SELECT run_id, experiment_id, lifecycle_stage FROM runs WHERE project_id = ? AND ${inList({ kind }, "run_id")}`,
    ),
    params: prepared<KeyValue & { run_id: string }>(
      { kind },
      `SELECT run_id, key, value FROM params WHERE project_id = ? AND ${inList({ kind }, "run_id")} AND ${inList({ kind }, "key")}`,
    ),
    insertParams: bulkInsert(
      kind,
      "params",
      { project_id: "text", run_id: "text", key: "text", value: "text" },
      "DO NOTHING",
    ),
    setTags: bulkInsert(
      kind,
      "tags",
      { project_id: "text", run_id: "text", key: "text", value: "text" },
      "(project_id, run_id, key) DO UPDATE SET value = excluded.value",
    ),
    name: prepared({ kind }, "UPDATE runs SET run_name = ? WHERE project_id = ? AND run_id = ?"),
    parent: prepared(
      { kind },
      "UPDATE runs SET parent_run_id = ? WHERE project_id = ? AND run_id = ? AND kind = 'external'",
    ),
  };
}

const statements = { sqlite: statementsFor("sqlite"), postgres: statementsFor("postgres") };

type OfRun<Value> = Value & { runId: string };

/**
 * Writes what several requests logged, each wholly or not at all; one outcome an entry, in their order. What fails here fails for all of
 * them, and the caller writes them one by one then. Tables in one order, keys sorted: writers that meet wait for each other, none for ever.
 */
export async function writeGroup(
  database: RecordDatabase,
  transaction: RecordTransaction,
  entries: readonly LogEntry[],
): Promise<LogOutcome[]> {
  if (entries.length === 0) return [];
  const { kind, projectId } = database;
  const statement = statements[kind];
  const outcomes = await refusals(database, transaction, entries);
  const params = await refuseChanged(database, transaction, entries, outcomes);
  const accepted = entries.filter((_, index) => outcomes[index] === undefined);

  const written = await statement.insertParams.run(
    transaction,
    sorted(params.values()).map(({ runId, key, value }) => [projectId, runId, key, value]),
  );
  // Another control plane wrote one of them between our look and our insert. Looking again tells.
  if (written < params.size) throw new TryAgain();
  await logMetricsOfRuns(
    database,
    transaction,
    accepted.map(({ runId, metrics }) => ({ runId, points: metrics })),
  );
  await logModelMetrics(database, transaction, accepted);
  const tags = new Map<string, OfRun<KeyValue>>();
  for (const { runId, tags: own } of accepted) {
    for (const tag of own) tags.set(`${runId}\0${tag.key}`, { runId, ...tag });
  }
  await statement.setTags.run(
    transaction,
    sorted(tags.values()).map(({ runId, key, value }) => [projectId, runId, key, value]),
  );
  for (const { runId, key, value } of sorted(tags.values())) {
    // Both are columns too, for lists and trees of runs.
    if (key === "mlflow.runName" && value !== "") await statement.name.all(transaction, [value, projectId, runId]);
    if (key === "mlflow.parentRunId") await statement.parent.all(transaction, [value, projectId, runId]);
  }
  if (database.mirrors.tracking.length > 0) {
    for (const entry of accepted) await noteEntry(database, transaction, entry);
  }
  return outcomes.map((outcome) => outcome ?? { kind: "logged" });
}

async function refusals(
  database: RecordDatabase,
  transaction: RecordTransaction,
  entries: readonly LogEntry[],
): Promise<(LogOutcome | undefined)[]> {
  const ids = [...new Set(entries.map(({ runId }) => runId))];
  const rows = await statements[database.kind].runs.all(transaction, [
    database.projectId,
    listParameter(database, ids),
  ]);
  const runs = new Map(rows.map((row) => [row.run_id, row]));
  const elsewhere = await modelsElsewhere(database, transaction, entries);
  return entries.map((entry) => {
    const run = runs.get(entry.runId);
    if (run === undefined) return { kind: "missing" };
    if (entry.within !== undefined && run.experiment_id !== entry.within) {
      return { kind: "foreign", experimentId: run.experiment_id };
    }
    if (run.lifecycle_stage !== "active") return { kind: "deleted" };
    const foreign = elsewhere(entry);
    return foreign === undefined ? undefined : { kind: "foreign", experimentId: foreign };
  });
}

/** Adds an outcome for each entry whose parameters are there with other values; the new parameters of the others. */
async function refuseChanged(
  database: RecordDatabase,
  transaction: RecordTransaction,
  entries: readonly LogEntry[],
  outcomes: (LogOutcome | undefined)[],
): Promise<Map<string, OfRun<KeyValue>>> {
  const fresh = new Map<string, OfRun<KeyValue>>();
  const wanted = entries.filter(({ params }, index) => outcomes[index] === undefined && params.length > 0);
  if (wanted.length === 0) return fresh;
  const rows = await statements[database.kind].params.all(transaction, [
    database.projectId,
    listParameter(database, [...new Set(wanted.map(({ runId }) => runId))]),
    listParameter(database, [...new Set(wanted.flatMap(({ params }) => params.map(({ key }) => key)))]),
  ]);
  const stored = new Map(rows.map(({ run_id, key, value }) => [`${run_id}\0${key}`, value]));
  for (const [index, { runId, params }] of entries.entries()) {
    if (outcomes[index] !== undefined) continue;
    const changed: ChangedParam[] = [];
    for (const { key, value } of params) {
      const known = stored.get(`${runId}\0${key}`);
      if (known !== undefined && known !== value) changed.push({ key, stored: known, given: value });
    }
    if (changed.length > 0) outcomes[index] = { kind: "params-differ", params: changed };
    else {
      for (const { key, value } of params) {
        const name = `${runId}\0${key}`;
        if (stored.has(name)) continue;
        stored.set(name, value);
        fresh.set(name, { runId, key, value });
      }
    }
  }
  return fresh;
}

async function noteEntry(
  database: RecordDatabase,
  transaction: RecordTransaction,
  { runId, metrics, params, tags }: LogEntry,
): Promise<void> {
  const subject = runId;
  const members = (list: readonly KeyValue[]) => Object.fromEntries(list.map(({ key, value }) => [key, value]));
  if (params.length > 0)
    await noteTracking(database, transaction, { kind: "params", subject, params: members(params) });
  if (tags.length > 0) await noteTracking(database, transaction, { kind: "tags", subject, tags: members(tags) });
  if (metrics.length > 0) {
    const points = metrics.map(({ key, value, step, timestamp }) => ({ key, value, step, timestamp }));
    await noteTracking(database, transaction, { kind: "metrics", subject, points });
    // Metrics that speak of a logged model are told with it.
    for (const modelId of new Set(metrics.flatMap((metric) => metric.modelId ?? []))) {
      await noteTracking(database, transaction, { kind: "logged-model", subject: modelId });
    }
  }
}

function sorted<Row extends { runId: string; key: string }>(rows: Iterable<Row>): Row[] {
  return [...rows].sort((a, b) => (a.runId === b.runId ? compare(a.key, b.key) : compare(a.runId, b.runId)));
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
