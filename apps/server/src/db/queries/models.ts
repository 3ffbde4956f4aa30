import { type ArtifactRef, type Digest, EspalierError, type ModelSignature } from "@espalier/core";
import { type Selectable, sql } from "kysely";
import type { RecordDatabase, RecordTransaction } from "../database.ts";
import { fromJson, present, presentJson, toJson } from "../json.ts";
import { keyset, type Page, type PageRequest } from "../page.ts";
import type { ModelVersionsTable } from "../schema/registry.ts";

export interface NewModelVersion {
  name: string;
  artifact: ArtifactRef;
  /** Absent: nobody judged it (`gate: none`), which stays on record. */
  verdictId?: string;
  signature?: ModelSignature;
  runId?: string;
  attemptId?: string;
  tags?: Readonly<Record<string, string>>;
  description?: string;
  registeredBy: string;
}

export interface ModelVersionRow {
  name: string;
  version: number;
  digest: Digest;
  artifact: ArtifactRef;
  verdictId?: string;
  signature?: ModelSignature;
  runId?: string;
  attemptId?: string;
  /** The step that the attempt was of. */
  step?: string;
  description?: string;
  registeredBy: string;
  createdAt: number;
  aliases: string[];
  tags: Readonly<Record<string, string>>;
}

export interface ModelRow {
  name: string;
  description?: string;
  createdAt: number;
  versions: number;
  latest?: number;
  aliases: Readonly<Record<string, number>>;
}

export interface ModelQueries {
  /** Idempotent on (name, digest, verdict): registering again gives the version there is, with `created: false`. */
  register(version: NewModelVersion): Promise<ModelVersionRow & { created: boolean }>;
  /** By name. */
  list(page: PageRequest): Promise<Page<ModelRow>>;
  get(name: string): Promise<ModelRow | undefined>;
  /** Newest first. */
  versions(name: string, page: PageRequest): Promise<Page<ModelVersionRow>>;
  /** A number, `latest`, or `@alias`. */
  version(name: string, version: number | "latest" | `@${string}`): Promise<ModelVersionRow | undefined>;
  /** Sets (undefined removes) tags of a version. */
  setTags(name: string, version: number, tags: Readonly<Record<string, string | undefined>>): Promise<void>;
}

export function createModelQueries(database: RecordDatabase): ModelQueries {
  const { kysely, projectId } = database;

  const listModels = async (request: PageRequest, name?: string): Promise<Page<ModelRow>> => {
    const keys = keyset(request, "ascending", { name: "text" });
    let query = kysely
      .selectFrom("registered_models")
      .selectAll()
      .select((columns) => {
        const versions = columns
          .selectFrom("model_versions as one")
          .whereRef("one.project_id", "=", "registered_models.project_id")
          .whereRef("one.name", "=", "registered_models.name");
        return [
          versions.select(sql<number>`count(*)`.as("n")).as("versions"),
          versions.select(sql<number | null>`max(version)`.as("n")).as("latest"),
        ];
      })
      .where("project_id", "=", projectId)
      .where(keys.after)
      .orderBy("name")
      .limit(keys.fetch);
    if (name !== undefined) query = query.where("name", "=", name);
    const rows = await query.execute();
    const aliases = await aliasesOf(rows.map((row) => row.name));
    return keys.page(
      rows,
      (row) => [row.name],
      (row) => ({
        name: row.name,
        ...present("description", row.description),
        createdAt: row.creation_time,
        versions: row.versions ?? 0,
        ...present("latest", row.latest),
        aliases: Object.fromEntries(
          aliases.filter((one) => one.name === row.name).map((one) => [one.alias, one.version]),
        ),
      }),
    );
  };

  const aliasesOf = async (names: string[]): Promise<{ name: string; alias: string; version: number }[]> =>
    names.length === 0
      ? []
      : kysely
          .selectFrom("aliases")
          .select(["name", "alias", "version"])
          .where("project_id", "=", projectId)
          .where("name", "in", names)
          .orderBy("alias")
          .execute();

  return {
    register: (version) =>
      database.transaction(async (transaction) => {
        const { row, created } = await registerVersion(database, transaction, version);
        const [whole] = await decorate(database, transaction, [row]);
        if (whole === undefined) throw new EspalierError("INTERNAL", `No version of ${version.name} was made`);
        return { ...whole, created };
      }),
    list: (request) => listModels(request),
    get: async (name) => (await listModels({ limit: 1 }, name)).items[0],
    versions: async (name, request) => {
      const keys = keyset(request, "descending", { version: "integer" });
      const rows = await kysely
        .selectFrom("model_versions")
        .selectAll()
        .where("project_id", "=", projectId)
        .where("name", "=", name)
        .where(keys.after)
        .orderBy("version", "desc")
        .limit(keys.fetch)
        .execute();
      const page = keys.page(
        rows,
        (row) => [row.version],
        (row) => row,
      );
      return { ...page, items: await decorate(database, kysely, page.items) };
    },
    version: async (name, version) => {
      let query = kysely
        .selectFrom("model_versions")
        .selectAll()
        .where("project_id", "=", projectId)
        .where("name", "=", name)
        .orderBy("version", "desc")
        .limit(1);
      if (typeof version === "number") query = query.where("version", "=", version);
      else if (version !== "latest") {
        query = query.where("version", "=", (columns) =>
          columns
            .selectFrom("aliases")
            .select("aliases.version")
            .where("aliases.project_id", "=", projectId)
            .where("aliases.name", "=", name)
            .where("aliases.alias", "=", version.slice(1)),
        );
      }
      const row = await query.executeTakeFirst();
      return row === undefined ? undefined : (await decorate(database, kysely, [row]))[0];
    },
    setTags: (name, version, tags) =>
      database.transaction(async (transaction) => {
        for (const [key, value] of Object.entries(tags)) {
          if (value === undefined) {
            await transaction
              .deleteFrom("model_version_tags")
              .where("project_id", "=", projectId)
              .where("name", "=", name)
              .where("version", "=", version)
              .where("key", "=", key)
              .execute();
          } else {
            await putTag(database, transaction, name, version, key, value);
          }
        }
      }),
  };
}

async function registerVersion(
  database: RecordDatabase,
  transaction: RecordTransaction,
  version: NewModelVersion,
): Promise<{ row: Selectable<ModelVersionsTable>; created: boolean }> {
  const { projectId } = database;
  // The model's row first: its lock makes two registrations of one name take turns.
  await transaction
    .insertInto("registered_models")
    .values({
      project_id: projectId,
      name: version.name,
      creation_time: database.now,
      last_updated_time: database.now,
    })
    .onConflict((conflict) => conflict.columns(["project_id", "name"]).doUpdateSet({ last_updated_time: database.now }))
    .execute();
  const known = await transaction
    .selectFrom("model_versions")
    .selectAll()
    .where("project_id", "=", projectId)
    .where("name", "=", version.name)
    .where("digest", "=", version.artifact.digest)
    .where("verdict_id", "=", version.verdictId ?? "")
    .executeTakeFirst();
  if (known !== undefined) return { row: known, created: false };
  const row = await transaction
    .insertInto("model_versions")
    .values({
      project_id: projectId,
      name: version.name,
      version: sql<number>`(SELECT coalesce(max(version), 0) + 1 FROM model_versions
        WHERE project_id = ${projectId} AND name = ${version.name})`,
      digest: version.artifact.digest,
      verdict_id: version.verdictId ?? "",
      artifact: toJson(version.artifact),
      signature: toJson(version.signature),
      source: `espalier-artifact:${version.artifact.digest}`,
      run_id: version.runId ?? null,
      attempt_id: version.attemptId ?? null,
      status: "READY",
      stage: "None",
      description: version.description ?? null,
      user_id: version.registeredBy,
      creation_time: database.now,
      last_updated_time: database.now,
    })
    .returningAll()
    .executeTakeFirstOrThrow(() => new EspalierError("INTERNAL", `No version of ${version.name} was made`));
  for (const [key, value] of Object.entries(version.tags ?? {})) {
    await putTag(database, transaction, version.name, row.version, key, value);
  }
  return { row, created: true };
}

async function putTag(
  database: RecordDatabase,
  transaction: RecordTransaction,
  name: string,
  version: number,
  key: string,
  value: string,
): Promise<void> {
  await transaction
    .insertInto("model_version_tags")
    .values({ project_id: database.projectId, name, version, key, value })
    .onConflict((conflict) => conflict.columns(["project_id", "name", "version", "key"]).doUpdateSet({ value }))
    .execute();
}

/** Adds aliases, tags and the step's name to rows of one model. */
async function decorate(
  database: RecordDatabase,
  source: Pick<RecordTransaction, "selectFrom">,
  rows: readonly Selectable<ModelVersionsTable>[],
): Promise<ModelVersionRow[]> {
  const [first] = rows;
  if (first === undefined) return [];
  const aliases = await source
    .selectFrom("aliases")
    .select(["alias", "version"])
    .where("project_id", "=", database.projectId)
    .where("name", "=", first.name)
    .orderBy("alias")
    .execute();
  const tags = await source
    .selectFrom("model_version_tags")
    .select(["version", "key", "value"])
    .where("project_id", "=", database.projectId)
    .where("name", "=", first.name)
    .where(
      "version",
      "in",
      rows.map((row) => row.version),
    )
    .orderBy("key")
    .execute();
  const attempts = rows.flatMap((row) => (row.attempt_id === null ? [] : [row.attempt_id]));
  const steps =
    attempts.length === 0
      ? []
      : await source
          .selectFrom("attempts")
          .select(["attempt_id", "step"])
          .where("project_id", "=", database.projectId)
          .where("attempt_id", "in", attempts)
          .execute();
  return rows.map((row) => ({
    name: row.name,
    version: row.version,
    digest: row.digest as Digest,
    artifact: fromJson<ArtifactRef>(row.artifact ?? "null"),
    ...present("verdictId", row.verdict_id === "" ? null : row.verdict_id),
    ...presentJson<"signature", ModelSignature>("signature", row.signature),
    ...present("runId", row.run_id),
    ...present("attemptId", row.attempt_id),
    ...present("step", steps.find((one) => one.attempt_id === row.attempt_id)?.step ?? null),
    ...present("description", row.description),
    registeredBy: row.user_id,
    createdAt: row.creation_time,
    aliases: aliases.filter((one) => one.version === row.version).map((one) => one.alias),
    tags: Object.fromEntries(tags.filter((one) => one.version === row.version).map((one) => [one.key, one.value])),
  }));
}
