import { type ArtifactRef, type Digest, EspalierError, type ModelSignature } from "@espalier/core";
import { type Selectable, sql } from "kysely";
import type { RecordDatabase, RecordTransaction } from "../database.ts";
import { fromJson, present, presentJson, toJson } from "../json.ts";
import { noteRegistry } from "../mirror-changes.ts";
import { keyset, type Page, type PageRequest } from "../page.ts";
import type { ModelVersionsTable } from "../schema/registry.ts";
import { insertVersion } from "./registry/insert-version.ts";
import { touchModel } from "./registry/registered-models.ts";
import { isPrompt, tellCreated, tellVersionCreated } from "./registry/registry-events.ts";
import { deletedStage, gateTag, promptTag, verdictTag } from "./registry/registry-rows.ts";
import { changeVersionTags, putVersionTag } from "./registry/version-tags.ts";

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
  /** Both absent: an MLflow client registered it by address, and nobody needed its content yet (`models/version-content.ts`). */
  digest?: Digest;
  artifact?: ArtifactRef;
  /** Path of the artifact proxy where the files of such a version lie. */
  location?: string;
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
  /** By name; without prompts, which MLflow's clients keep among models. */
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
          .whereRef("one.name", "=", "registered_models.name")
          .where("one.stage", "<>", deletedStage);
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
    else {
      query = query.where(({ not, exists, selectFrom }) =>
        not(
          exists(
            selectFrom("registered_model_tags as tag")
              .select("tag.key")
              .whereRef("tag.project_id", "=", "registered_models.project_id")
              .whereRef("tag.name", "=", "registered_models.name")
              .where("tag.key", "=", promptTag)
              .where("tag.value", "=", "true"),
          ),
        ),
      );
    }
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
        .where("stage", "<>", deletedStage)
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
        .where("stage", "<>", deletedStage)
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
      database.transaction((transaction) => changeVersionTags(database, transaction, name, version, tags)),
  };
}

async function registerVersion(
  database: RecordDatabase,
  transaction: RecordTransaction,
  version: NewModelVersion,
): Promise<{ row: Selectable<ModelVersionsTable>; created: boolean }> {
  const { projectId } = database;
  await ensureModel(database, transaction, version.name);
  const known = await transaction
    .selectFrom("model_versions")
    .selectAll()
    .where("project_id", "=", projectId)
    .where("name", "=", version.name)
    .where("digest", "=", version.artifact.digest)
    .where("verdict_id", "=", version.verdictId ?? "")
    .where("idempotent", "=", 1)
    .executeTakeFirst();
  if (known !== undefined) return { row: known, created: false };
  const row = await insertVersion(database, transaction, {
    name: version.name,
    digest: version.artifact.digest,
    verdict_id: version.verdictId ?? "",
    artifact: toJson(version.artifact),
    signature: toJson(version.signature),
    source: `espalier-artifact:${version.artifact.digest}`,
    run_id: version.runId ?? null,
    attempt_id: version.attemptId ?? null,
    description: version.description ?? null,
    user_id: version.registeredBy,
  });
  const tags: Record<string, string> = {
    ...version.tags,
    [gateTag]: version.verdictId === undefined ? "none" : "passed",
    ...(version.verdictId === undefined ? {} : { [verdictTag]: version.verdictId }),
  };
  for (const [key, value] of Object.entries(tags)) {
    await putVersionTag(database, transaction, version.name, row.version, key, value);
  }
  await tellVersionCreated(database, transaction, { ...version, version: row.version, source: row.source, tags });
  await noteRegistry(database, transaction, { kind: "version", subject: `${version.name}/${row.version}` });
  return { row, created: true };
}

/** The model, made when it is not there. Its row's lock makes two registrations of one name take turns. */
async function ensureModel(database: RecordDatabase, transaction: RecordTransaction, name: string): Promise<void> {
  const made = await transaction
    .insertInto("registered_models")
    .values({
      project_id: database.projectId,
      name,
      creation_time: database.now,
      last_updated_time: database.now,
    })
    .onConflict((conflict) => conflict.doNothing())
    .returning("name")
    .executeTakeFirst();
  if (made === undefined) {
    await touchModel(database, transaction, name);
    if (!(await isPrompt(database, transaction, name))) return;
    throw new EspalierError("ALREADY_EXISTS", `${name} is a prompt that an MLflow client registered, not a model`, {
      hint: "Register the model under another name.",
    });
  }
  await tellCreated(database, transaction, { name, tags: {} });
  await noteRegistry(database, transaction, { kind: "model", subject: name });
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
    ...(row.artifact === null
      ? present("location", row.location)
      : { digest: row.digest as Digest, artifact: fromJson<ArtifactRef>(row.artifact) }),
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
