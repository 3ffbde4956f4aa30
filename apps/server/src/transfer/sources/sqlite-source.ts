import { existsSync, statSync } from "node:fs";
import { realpath } from "node:fs/promises";
import { dirname, join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { EspalierError, type TrackedPoint, type TrackedSource } from "@espalier/core";
import { sqliteArtifacts } from "./sqlite-artifacts.ts";
import { readSqlRegistry } from "./sqlite-registry.ts";
import { readSqlRuns } from "./sqlite-runs.ts";
import { pointOf, type SqlStore, text } from "./sqlite-values.ts";
import { openStoreFolder } from "./store-folder.ts";
import { whatIsAStore } from "./what-is-a-store.ts";

const required: Readonly<Record<string, readonly string[]>> = {
  experiments: ["experiment_id", "name", "lifecycle_stage"],
  runs: ["run_uuid", "experiment_id", "status", "start_time", "artifact_uri", "lifecycle_stage"],
  metrics: ["run_uuid", "key", "value", "timestamp", "step", "is_nan"],
  params: ["run_uuid", "key", "value"],
  tags: ["run_uuid", "key", "value"],
};
const pointsABatch = 5000;

/**
 * INVALID_INPUT: no database of MLflow's, or one of before MLflow 1.4 (its metrics know no NaN). A schema that is newer than what this
 * knows is read as long as these tables and columns are there; what has been added since is not imported.
 */
export async function openSqlite(file: string, artifactRoot?: string): Promise<TrackedSource> {
  const path = await realpath(file).catch((cause: unknown) => {
    throw new EspalierError("INVALID_INPUT", `There is no file ${file}`, { cause });
  });
  const database = open(path);
  const store = storeOf(database);
  let revision: string;
  try {
    revision = checkSchema(store, path);
  } catch (error) {
    database.close();
    throw error;
  }
  const roots =
    artifactRoot === undefined ? [join(dirname(path), "mlartifacts"), join(dirname(path), "mlruns")] : [artifactRoot];
  const folders = await Promise.all(roots.filter((root) => existsSync(root)).map((root) => openStoreFolder(root)));
  const artifacts = sqliteArtifacts(folders);
  const runs = readSqlRuns(store);
  const registry = readSqlRegistry(store);
  return {
    identity: path,
    description: `MLflow database ${path} (schema ${revision})`,
    losses: () => [
      "deleted logged models are not imported",
      "traces and assessments are not imported",
      ...otherWorkspaces(store),
      ...artifacts.losses(),
    ],
    experiments: runs.experiments,
    runs: runs.runs,
    async *points({ run }) {
      const rows = store.each(
        `SELECT key, value, is_nan, CAST(step AS TEXT) AS step, CAST(timestamp AS TEXT) AS timestamp FROM metrics
          WHERE run_uuid = ? ORDER BY key, timestamp, step`,
        run.id,
      );
      let batch: TrackedPoint[] = [];
      for (const row of rows) {
        batch.push(pointOf(row));
        if (batch.length < pointsABatch) continue;
        yield batch;
        batch = [];
      }
      if (batch.length > 0) yield batch;
    },
    files: (owner) => artifacts.below(owner.artifactUri),
    loggedModels: runs.loggedModels,
    registeredModels: registry.models,
    versions: registry.versions,
    close: async () => database.close(),
  };
}

function open(path: string): DatabaseSync {
  if (!statSync(path).isFile()) throw new EspalierError("INVALID_INPUT", `${path} is no file`);
  try {
    return new DatabaseSync(path, { readOnly: true });
  } catch (cause) {
    throw new EspalierError("INVALID_INPUT", `${path} can not be read: ${String(cause)}`, { cause });
  }
}

function storeOf(database: DatabaseSync): SqlStore {
  const columns = new Map<string, Set<string>>();
  const prepare = (text: string) => {
    const statement = database.prepare(text);
    statement.setReadBigInts(true);
    return statement;
  };
  return {
    all: (text, ...values) => prepare(text).all(...values),
    each: (text, ...values) => prepare(text).iterate(...values),
    has: (table, column) => {
      let known = columns.get(table);
      if (known === undefined) {
        const rows = prepare("SELECT name FROM pragma_table_info(?)").all(table);
        known = new Set(rows.map((row) => String(row["name"])));
        columns.set(table, known);
      }
      return column === undefined ? known.size > 0 : known.has(column);
    },
  };
}

function checkSchema(store: SqlStore, path: string): string {
  try {
    if (!store.has("alembic_version") || !store.has("experiments")) {
      throw new EspalierError("INVALID_INPUT", `${path} is no database of MLflow's`, { hint: whatIsAStore });
    }
    for (const [table, columns] of Object.entries(required)) {
      const missing = columns.find((column) => !store.has(table, column));
      if (missing === undefined) continue;
      throw new EspalierError(
        "INVALID_INPUT",
        `${path} has no ${table}.${missing}: its schema is of before MLflow 1.4`,
        {
          hint: `Bring a copy up to date first: \`mlflow db upgrade sqlite:///${path}\`.`,
        },
      );
    }
    return String(store.all("SELECT version_num FROM alembic_version")[0]?.["version_num"] ?? "unknown");
  } catch (error) {
    if (error instanceof EspalierError) throw error;
    throw new EspalierError(
      "INVALID_INPUT",
      `${path} can not be read as a database: ${error instanceof Error ? error.message : String(error)}`,
      {
        cause: error,
        hint: whatIsAStore,
      },
    );
  }
}

function otherWorkspaces(store: SqlStore): string[] {
  if (!store.has("experiments", "workspace")) return [];
  const found = store.all("SELECT DISTINCT workspace FROM experiments WHERE workspace <> 'default' LIMIT 20");
  return found.map((row) => `the workspace ${text(row["workspace"])} is not imported, only \`default\``);
}
