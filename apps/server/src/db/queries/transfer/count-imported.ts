import { type RawBuilder, sql } from "kysely";
import type { RecordDatabase } from "../../database.ts";

/** What is on record of what an import says it brought: counted from the tables, not from what the import remembers. */
export async function countImported(database: RecordDatabase, peer: string): Promise<Record<string, number>> {
  const { projectId, reader } = database;
  const ours = (kind: string): RawBuilder<unknown> => sql`(SELECT target_id FROM transfer_items
    WHERE project_id = ${projectId} AND direction = 'import' AND peer = ${peer} AND kind = ${kind} AND done = 1)`;
  const count = async (from: RawBuilder<unknown>): Promise<number> => {
    const { rows } = await sql<{ found: number }>`SELECT count(*) AS found ${from}`.execute(reader);
    return Number(rows[0]?.found ?? 0);
  };
  const ofRuns = (table: string) =>
    count(sql`FROM ${sql.table(table)} WHERE project_id = ${projectId} AND run_id IN ${ours("run")}`);
  const ofModels = (table: string) =>
    count(sql`FROM ${sql.table(table)} WHERE project_id = ${projectId} AND model_id IN ${ours("model")}`);
  const files = sql`FROM transfer_items item JOIN tracked_files file ON file.project_id = item.project_id
    AND file.path > item.root || '/' AND file.path < item.root || '0'
    WHERE item.project_id = ${projectId} AND item.direction = 'import' AND item.peer = ${peer} AND item.done = 1
      AND item.root IS NOT NULL`;
  const bytes = await sql<{ found: number | null }>`SELECT sum(file.size) AS found ${files}`.execute(reader);
  const named = (table: string) =>
    count(sql`FROM ${sql.table(table)} WHERE project_id = ${projectId} AND name IN ${ours("registered-model")}`);
  const versions = sql`FROM model_versions version JOIN transfer_items item ON item.project_id = version.project_id
    AND item.target_id = version.name || '/' || CAST(version.version AS TEXT)
    WHERE item.project_id = ${projectId} AND item.direction = 'import' AND item.peer = ${peer} AND item.kind = 'version'
      AND item.done = 1`;
  return {
    experiments: await count(
      sql`FROM experiments WHERE project_id = ${projectId} AND experiment_id IN ${ours("experiment")}`,
    ),
    runs: await ofRuns("runs"),
    params: await ofRuns("params"),
    tags: await ofRuns("tags"),
    metrics: await ofRuns("latest_metrics"),
    points: await count(sql`FROM metrics point JOIN latest_metrics series ON series.series_id = point.series_id
      WHERE series.project_id = ${projectId} AND series.run_id IN ${ours("run")}`),
    inputs: await ofRuns("inputs"),
    loggedModels: await ofModels("logged_models"),
    files: await count(files),
    bytes: Number(bytes.rows[0]?.found ?? 0),
    registeredModels: await named("registered_models"),
    versions: await count(versions),
    aliases: await named("aliases"),
  };
}
