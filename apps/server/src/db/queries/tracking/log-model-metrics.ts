import { bulkInsert } from "../../bulk.ts";
import type { RecordDatabase, RecordTransaction } from "../../database.ts";
import { inList, listParameter, prepared } from "../../prepared.ts";
import type { LogEntry } from "./log-entry.ts";

function statementsFor(kind: RecordDatabase["kind"]) {
  return {
    insert: bulkInsert(
      kind,
      "logged_model_metrics",
      {
        project_id: "text",
        model_id: "text",
        key: "text",
        timestamp: "integer",
        step: "integer",
        run_id: "text",
        value: "real",
        is_nan: "integer",
        dataset_name: "text",
        dataset_digest: "text",
      },
      "DO NOTHING",
    ),
    experiments: prepared<{ model_id: string; experiment_id: string }>(
      { kind },
      `SELECT model_id, experiment_id FROM logged_models WHERE project_id = ? AND ${inList({ kind }, "model_id")}`,
    ),
  };
}

const statements = { sqlite: statementsFor("sqlite"), postgres: statementsFor("postgres") };

/** Metrics that speak of a logged model are the model's as well. Logging one again changes nothing. */
export async function logModelMetrics(
  database: RecordDatabase,
  transaction: RecordTransaction,
  entries: readonly LogEntry[],
): Promise<void> {
  const rows = entries.flatMap(({ runId, metrics }) =>
    metrics.flatMap(({ key, value, step, timestamp, modelId, datasetName, datasetDigest }) => {
      if (modelId === undefined) return [];
      const isNan = Number.isNaN(value);
      const stored = isNan ? 0 : value + 0;
      return [
        [
          database.projectId,
          modelId,
          key,
          timestamp,
          step,
          runId,
          stored,
          isNan ? 1 : 0,
          datasetName ?? "",
          datasetDigest ?? "",
        ],
      ];
    }),
  );
  await statements[database.kind].insert.run(transaction, rows);
}

/** Finds the experiment of a model that an entry speaks of and its caller may not write to. */
export async function modelsElsewhere(
  database: RecordDatabase,
  transaction: RecordTransaction,
  entries: readonly LogEntry[],
): Promise<(entry: LogEntry) => string | undefined> {
  const ids = new Set(
    entries.flatMap(({ within, metrics }) =>
      within === undefined ? [] : metrics.flatMap(({ modelId }) => modelId ?? []),
    ),
  );
  if (ids.size === 0) return () => undefined;
  const rows = await statements[database.kind].experiments.all(transaction, [
    database.projectId,
    listParameter(database, [...ids]),
  ]);
  const experiments = new Map(rows.map((row) => [row.model_id, row.experiment_id]));
  return ({ within, metrics }) =>
    within === undefined
      ? undefined
      : metrics
          .map(({ modelId }) => (modelId === undefined ? undefined : experiments.get(modelId)))
          .find((experiment) => experiment !== undefined && experiment !== within);
}
