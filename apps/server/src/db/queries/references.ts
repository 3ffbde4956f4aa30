import type { ArtifactRef } from "@espalier/core";
import { sql } from "kysely";
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

export function createReferenceQueries(database: RecordDatabase): ReferenceQueries {
  async function* artifacts(): AsyncGenerator<ArtifactRef, void, void> {
    for (const { table, column, key } of places) {
      const columns = sql.join(key.map((name) => sql.ref(name)));
      let last: Record<string, unknown> | undefined;
      for (;;) {
        const after =
          last === undefined ? sql`1 = 1` : sql`(${columns}) > (${sql.join(key.map((name) => last?.[name]))})`;
        const { rows } = await sql<Record<string, unknown> & { held: string }>`
          SELECT ${columns}, ${sql.ref(column)} AS held FROM ${sql.table(table)}
          WHERE project_id = ${database.projectId} AND ${sql.ref(column)} IS NOT NULL AND ${after}
          ORDER BY ${columns} LIMIT ${rowsAtOnce}`.execute(database.kysely);
        for (const row of rows) yield* referencesIn(fromJson(row.held));
        if (rows.length < rowsAtOnce) break;
        last = rows.at(-1);
      }
    }
  }
  return { artifacts };
}

function referencesIn(held: ArtifactRef | Readonly<Record<string, ArtifactRef | null>> | null): ArtifactRef[] {
  if (held === null) return [];
  if (typeof held.digest === "string") return [held as ArtifactRef];
  return Object.values(held as Readonly<Record<string, ArtifactRef | null>>).filter((one) => one !== null);
}
