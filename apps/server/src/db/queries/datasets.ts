import { type ArtifactRef, type Digest, EspalierError, type Json } from "@espalier/core";
import { type Selectable, sql } from "kysely";
import type { RecordDatabase } from "../database.ts";
import { fromJson, present, presentJson, toJson } from "../json.ts";
import { keyset, type Page, type PageRequest } from "../page.ts";
import type { DatasetVersionsTable } from "../schema/registry.ts";

export interface NewDatasetVersion {
  name: string;
  /** Of the artifact, or of the reference when the data stays where it is. */
  digest: Digest;
  artifact?: ArtifactRef;
  /** Data registered where it lies: a bucket's prefix by version, a warehouse query by snapshot. */
  reference?: Json;
  /** Where it came from, in words or as a URI. */
  source?: string;
  schema?: Json;
  profile?: Json;
  rows?: number;
  tags?: Readonly<Record<string, string>>;
  runId?: string;
  attemptId?: string;
  createdBy: string;
  description?: string;
}

export interface DatasetVersionRow extends Omit<NewDatasetVersion, "description"> {
  version: number;
  tags: Readonly<Record<string, string>>;
  createdAt: number;
}

export interface DatasetRow {
  name: string;
  description?: string;
  createdAt: number;
  versions: number;
  latest?: number;
}

type Transaction = Parameters<Parameters<RecordDatabase["transaction"]>[0]>[0];

export interface DatasetQueries {
  /**
   * Idempotent on (name, digest): content that is there already gives the version it has, with `created: false`. `after`: the version that
   * must be the newest now, 0 for none; CONFLICT when another has come.
   */
  log(version: NewDatasetVersion, options?: { after?: number }): Promise<DatasetVersionRow & { created: boolean }>;
  /** By name. */
  list(page: PageRequest): Promise<Page<DatasetRow>>;
  /** Newest first. */
  versions(name: string, page: PageRequest): Promise<Page<DatasetVersionRow>>;
  get(name: string, version: number | "latest"): Promise<DatasetVersionRow | undefined>;
}

export function createDatasetQueries(database: RecordDatabase): DatasetQueries {
  const { kysely, projectId } = database;
  const requireNewest = async (transaction: Transaction, name: string, after: number): Promise<void> => {
    const { newest } = await transaction
      .selectFrom("dataset_versions")
      .select(sql<number>`coalesce(max(version), 0)`.as("newest"))
      .where("project_id", "=", projectId)
      .where("name", "=", name)
      .executeTakeFirstOrThrow();
    if (newest === after) return;
    throw new EspalierError("CONFLICT", `The newest version of ${name} is ${newest} by now, not ${after}`, {
      details: { newest },
    });
  };
  return {
    log: (version, { after } = {}) =>
      database.transaction(async (transaction) => {
        // The dataset's row first: its lock makes two loggers of one name take turns.
        await transaction
          .insertInto("datasets")
          .values({
            project_id: projectId,
            name: version.name,
            description: version.description ?? null,
            created_at: database.now,
            updated_at: database.now,
          })
          .onConflict((conflict) =>
            conflict.columns(["project_id", "name"]).doUpdateSet({
              updated_at: database.now,
              ...(version.description === undefined ? {} : { description: version.description }),
            }),
          )
          .execute();
        if (after !== undefined) await requireNewest(transaction, version.name, after);
        const known = await transaction
          .selectFrom("dataset_versions")
          .selectAll()
          .where("project_id", "=", projectId)
          .where("name", "=", version.name)
          .where("digest", "=", version.digest)
          .executeTakeFirst();
        if (known !== undefined) return { ...toRow(known), created: false };
        const made = await transaction
          .insertInto("dataset_versions")
          .values({
            project_id: projectId,
            name: version.name,
            version: sql<number>`(SELECT coalesce(max(version), 0) + 1 FROM dataset_versions
              WHERE project_id = ${projectId} AND name = ${version.name})`,
            digest: version.digest,
            artifact: toJson(version.artifact),
            reference: toJson(version.reference),
            source: version.source ?? null,
            schema_json: toJson(version.schema),
            profile_json: toJson(version.profile),
            row_count: version.rows ?? null,
            tags: JSON.stringify(version.tags ?? {}),
            run_id: version.runId ?? null,
            attempt_id: version.attemptId ?? null,
            created_by: version.createdBy,
            created_at: database.now,
          })
          .returningAll()
          .executeTakeFirstOrThrow(() => new EspalierError("INTERNAL", `No version of ${version.name} was made`));
        return { ...toRow(made), created: true };
      }),
    list: async (request) => {
      const keys = keyset(request, "ascending", { name: "text" });
      const rows = await kysely
        .selectFrom("datasets")
        .selectAll()
        .select((columns) => {
          const versions = columns
            .selectFrom("dataset_versions as one")
            .whereRef("one.project_id", "=", "datasets.project_id")
            .whereRef("one.name", "=", "datasets.name");
          return [
            versions.select(sql<number>`count(*)`.as("n")).as("versions"),
            versions.select(sql<number | null>`max(version)`.as("n")).as("latest"),
          ];
        })
        .where("project_id", "=", projectId)
        .where(keys.after)
        .orderBy("name")
        .limit(keys.fetch)
        .execute();
      return keys.page(
        rows,
        (row) => [row.name],
        (row) => ({
          name: row.name,
          ...present("description", row.description),
          createdAt: row.created_at,
          versions: row.versions ?? 0,
          ...present("latest", row.latest),
        }),
      );
    },
    versions: async (name, request) => {
      const keys = keyset(request, "descending", { version: "integer" });
      const rows = await kysely
        .selectFrom("dataset_versions")
        .selectAll()
        .where("project_id", "=", projectId)
        .where("name", "=", name)
        .where(keys.after)
        .orderBy("version", "desc")
        .limit(keys.fetch)
        .execute();
      return keys.page(rows, (row) => [row.version], toRow);
    },
    get: async (name, version) => {
      let query = kysely
        .selectFrom("dataset_versions")
        .selectAll()
        .where("project_id", "=", projectId)
        .where("name", "=", name)
        .orderBy("version", "desc")
        .limit(1);
      if (version !== "latest") query = query.where("version", "=", version);
      const row = await query.executeTakeFirst();
      return row === undefined ? undefined : toRow(row);
    },
  };
}

function toRow(row: Selectable<DatasetVersionsTable>): DatasetVersionRow {
  return {
    name: row.name,
    version: row.version,
    digest: row.digest as Digest,
    ...presentJson<"artifact", ArtifactRef>("artifact", row.artifact),
    ...presentJson<"reference", Json>("reference", row.reference),
    ...present("source", row.source),
    ...presentJson<"schema", Json>("schema", row.schema_json),
    ...presentJson<"profile", Json>("profile", row.profile_json),
    ...present("rows", row.row_count),
    tags: fromJson(row.tags),
    ...present("runId", row.run_id),
    ...present("attemptId", row.attempt_id),
    createdBy: row.created_by,
    createdAt: row.created_at,
  };
}
