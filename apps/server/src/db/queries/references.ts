import { type ArtifactRef, isDigest } from "@espalier/core";
import { type RawBuilder, sql } from "kysely";
import type { RecordDatabase } from "../database.ts";
import { fromJson } from "../json.ts";

export interface ReferenceQueries {
  /**
   * Every artifact that anything on record refers to, some more than once: what `gc` must keep and `doctor` must find. What is written
   * while it is read may be missed, so `gc` keeps blobs younger than its start.
   */
  artifacts(): AsyncGenerator<ArtifactRef, void, void>;
}

const rowsAtOnce = 1000;

/** Columns that hold one reference, or an object of them. */
const places = [
  { table: "steps", column: "outputs", key: ["run_id", "step", "branch"] },
  { table: "attempts", column: "log", key: ["attempt_id"] },
  { table: "pipeline_runs", column: "resolved", key: ["run_id"] },
  { table: "pipeline_runs", column: "snapshots", key: ["run_id"] },
  { table: "dataset_versions", column: "artifact", key: ["name", "version"] },
  { table: "model_versions", column: "artifact", key: ["name", "version"] },
] as const;

/** Tables of single files by digest: what MLflow clients logged, and parts of uploads under way. */
const fileTables = [
  { table: "tracked_files", key: ["path"] },
  { table: "file_upload_parts", key: ["upload_id", "number"] },
] as const;

export function createReferenceQueries(database: RecordDatabase): ReferenceQueries {
  /** All rows, a portion at a time in the order of the table's key. */
  async function* rowsOf<Row>(
    table: string,
    key: readonly string[],
    selected: RawBuilder<unknown>,
    condition: RawBuilder<unknown>,
  ): AsyncGenerator<Row, void, void> {
    const columns = sql.join(key.map((name) => sql.ref(name)));
    let last: Record<string, unknown> | undefined;
    for (;;) {
      const after =
        last === undefined ? sql`1 = 1` : sql`(${columns}) > (${sql.join(key.map((name) => last?.[name]))})`;
      const { rows } = await sql<Record<string, unknown>>`
        SELECT ${columns}, ${selected} FROM ${sql.table(table)}
        WHERE project_id = ${database.projectId} AND ${condition} AND ${after}
        ORDER BY ${columns} LIMIT ${rowsAtOnce}`.execute(database.kysely);
      yield* rows as Row[];
      if (rows.length < rowsAtOnce) return;
      last = rows.at(-1);
    }
  }

  async function* artifacts(): AsyncGenerator<ArtifactRef, void, void> {
    for (const { table, column, key } of places) {
      const held = sql.ref(column);
      const rows = rowsOf<{ held: string }>(table, key, sql`${held} AS held`, sql`${held} IS NOT NULL`);
      for await (const row of rows) yield* referencesIn(fromJson(row.held));
    }
    for (const { table, key } of fileTables) {
      const rows = rowsOf<{ digest: string; size: number }>(table, key, sql`digest, size`, sql`1 = 1`);
      for await (const { digest, size } of rows) if (isDigest(digest)) yield { type: "file", digest, size };
    }
  }
  return { artifacts };
}

function referencesIn(held: ArtifactRef | Readonly<Record<string, ArtifactRef | null>> | null): ArtifactRef[] {
  if (held === null) return [];
  if (typeof held.digest === "string") return [held as ArtifactRef];
  return Object.values(held as Readonly<Record<string, ArtifactRef | null>>).filter((one) => one !== null);
}
