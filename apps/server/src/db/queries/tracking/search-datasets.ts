import { sql } from "kysely";
import type { RecordDatabase } from "../../database.ts";
import { anyOf } from "./search-run-conditions.ts";

export interface DatasetSummary {
  experiment_id: string;
  name: string;
  digest: string;
  /** What the data was for, such as "train"; null when no run said. */
  context: string | null;
}

const mostSummaries = 1000;

/** What the runs of the experiments read, each data set once a context; the first 1,000 by name. */
export async function findDatasets(
  database: RecordDatabase,
  experimentIds: readonly string[],
  signal?: AbortSignal,
): Promise<DatasetSummary[]> {
  if (experimentIds.length === 0) return [];
  const { rows } = await sql<DatasetSummary>`SELECT DISTINCT d.experiment_id, d.name, d.digest, t.value AS context
    FROM input_datasets AS d
    JOIN inputs AS i ON i.project_id = d.project_id AND i.dataset_id = d.dataset_id
    LEFT JOIN input_tags AS t ON t.project_id = i.project_id AND t.run_id = i.run_id AND t.dataset_id = i.dataset_id
      AND t.key = 'mlflow.data.context'
    WHERE d.project_id = ${database.projectId} AND ${anyOf(database, sql`d.experiment_id`, experimentIds)}
    ORDER BY d.experiment_id, d.name, d.digest, context LIMIT ${mostSummaries}`.execute(database.reader, { signal });
  return rows;
}
