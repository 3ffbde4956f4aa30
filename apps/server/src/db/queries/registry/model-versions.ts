import { type ArtifactRef, type Digest, EspalierError } from "@espalier/core";
import type { Selectable } from "kysely";
import type { RecordDatabase, RecordTransaction } from "../../database.ts";
import { toJson } from "../../json.ts";
import { noteRegistry } from "../../mirror-changes.ts";
import type { ModelVersionsTable } from "../../schema/registry.ts";
import { setAlias } from "../aliases.ts";
import { insertVersion } from "./insert-version.ts";
import { noModel, touchModel } from "./registered-models.ts";
import { tellVersionCreated } from "./registry-events.ts";
import {
  aliveRow,
  deletedStage,
  gateTag,
  type Reader,
  type RegistryVersion,
  verdictTag,
  versionsOf,
} from "./registry-rows.ts";
import { refuseServed } from "./served.ts";
import { changeVersionTags, putVersionTag } from "./version-tags.ts";

export interface NewRegistryVersion {
  name: string;
  source: string;
  location?: string | undefined;
  artifact?: ArtifactRef | undefined;
  /** Of the version that this one is a copy of: a verdict is about content. */
  verdictId?: string | undefined;
  runId?: string | undefined;
  runLink?: string | undefined;
  modelId?: string | undefined;
  description?: string | undefined;
  tags: Readonly<Record<string, string>>;
  createdBy: string;
}

/** Messages are those that MLflow's clients know. NOT_FOUND: no such model, or no such version that was not deleted. */
export interface RegistryVersionQueries {
  /** Every call makes a new version. */
  create(version: NewRegistryVersion): Promise<RegistryVersion>;
  get(name: string, version: number): Promise<RegistryVersion>;
  /** INVALID_INPUT when the model has no such alias; NOT_FOUND when there is no model. `latest` is the highest version. */
  byAlias(name: string, alias: string): Promise<RegistryVersion>;
  /** The newest version of each of the stages. */
  latest(name: string, stages: readonly string[]): Promise<RegistryVersion[]>;
  describe(name: string, version: number, description: string | undefined): Promise<RegistryVersion>;
  /** `archiveOthers`: every other version in the stage becomes `Archived`. */
  moveToStage(name: string, version: number, stage: string, archiveOthers: boolean): Promise<RegistryVersion>;
  /** Its number stays taken; what it said of its origin is forgotten. CONFLICT while an endpoint serves it. */
  delete(name: string, version: number, by: string): Promise<void>;
  /** undefined removes the tag, also when there is none. */
  setTag(name: string, version: number, key: string, value: string | undefined): Promise<void>;
  /** Fills in the content of a version that was registered by address; whoever came first wins. */
  adopt(name: string, version: number, artifact: ArtifactRef): Promise<void>;
  /** A version that holds this content, of any model. */
  withContent(digest: Digest): Promise<RegistryVersion | undefined>;
}

export function createRegistryVersionQueries(database: RecordDatabase): RegistryVersionQueries {
  const { kysely, projectId } = database;

  const find = async (reader: Reader, name: string, version: number): Promise<RegistryVersion> => {
    const row = await aliveRow(database, reader, name, version);
    const [whole] = row === undefined ? [] : await versionsOf(database, reader, [row]);
    return whole ?? noVersion(name, version);
  };

  const change = (
    name: string,
    version: number,
    set: (transaction: RecordTransaction) => Promise<unknown>,
  ): Promise<RegistryVersion> =>
    database.transaction(async (transaction) => {
      if ((await aliveRow(database, transaction, name, version)) === undefined) noVersion(name, version);
      await touchModel(database, transaction, name);
      await set(transaction);
      await noteRegistry(database, transaction, { kind: "version", subject: `${name}/${version}` });
      return find(transaction, name, version);
    });

  const update = (
    transaction: RecordTransaction,
    name: string,
    version: number,
    set: { description?: string | null; stage?: string },
  ): Promise<unknown> =>
    transaction
      .updateTable("model_versions")
      .set({ ...set, last_updated_time: database.now })
      .where("project_id", "=", projectId)
      .where("name", "=", name)
      .where("version", "=", version)
      .execute();

  return {
    create: (version) => database.transaction((transaction) => createVersion(database, transaction, version, find)),
    get: (name, version) => find(kysely, name, version),
    byAlias: async (name, alias) => {
      const model = await kysely
        .selectFrom("registered_models")
        .select("name")
        .where("project_id", "=", projectId)
        .where("name", "=", name)
        .executeTakeFirst();
      if (model === undefined) return noModel(name);
      const isLatest = alias.toLowerCase() === "latest";
      const place = isLatest
        ? await highestVersion(database, kysely, name)
        : await kysely
            .selectFrom("aliases")
            .select("version")
            .where("project_id", "=", projectId)
            .where("name", "=", name)
            .where("alias", "=", alias)
            .executeTakeFirst();
      if (place !== undefined) return find(kysely, name, place.version);
      if (isLatest) throw new EspalierError("NOT_FOUND", `Latest version not found for model ${name}.`);
      throw new EspalierError("INVALID_INPUT", `Registered model alias ${alias} not found.`);
    },
    latest: async (name, stages) => {
      const rows: Selectable<ModelVersionsTable>[] = [];
      for (const stage of stages) {
        const row = await kysely
          .selectFrom("model_versions")
          .selectAll()
          .where("project_id", "=", projectId)
          .where("name", "=", name)
          .where("stage", "=", stage)
          .orderBy("version", "desc")
          .limit(1)
          .executeTakeFirst();
        if (row !== undefined) rows.push(row);
      }
      return versionsOf(
        database,
        kysely,
        rows.sort((a, b) => a.version - b.version),
      );
    },
    describe: (name, version, description) =>
      change(name, version, (transaction) => update(transaction, name, version, { description: description ?? null })),
    moveToStage: (name, version, stage, archiveOthers) =>
      change(name, version, async (transaction) => {
        if (archiveOthers) {
          const archived = await transaction
            .updateTable("model_versions")
            .set({ stage: "Archived", last_updated_time: database.now })
            .where("project_id", "=", projectId)
            .where("name", "=", name)
            .where("stage", "=", stage)
            .where("version", "<>", version)
            .returning("version")
            .execute();
          for (const other of archived) {
            await noteRegistry(database, transaction, { kind: "version", subject: `${name}/${other.version}` });
          }
        }
        await update(transaction, name, version, { stage });
      }),
    delete: (name, version, by) =>
      database.transaction((transaction) => deleteVersion(database, transaction, name, version, by)),
    setTag: (name, version, key, value) =>
      database.transaction(async (transaction) => {
        if ((await aliveRow(database, transaction, name, version)) === undefined) noVersion(name, version);
        await changeVersionTags(database, transaction, name, version, { [key]: value });
      }),
    adopt: async (name, version, artifact) => {
      await kysely
        .updateTable("model_versions")
        .set({ digest: artifact.digest, artifact: toJson(artifact) })
        .where("project_id", "=", projectId)
        .where("name", "=", name)
        .where("version", "=", version)
        .where("digest", "=", "")
        .where("stage", "<>", deletedStage)
        .execute();
    },
    withContent: async (digest) => {
      const rows = await kysely
        .selectFrom("model_versions")
        .selectAll()
        .where("project_id", "=", projectId)
        .where("digest", "=", digest)
        .where("stage", "<>", deletedStage)
        .limit(1)
        .execute();
      return (await versionsOf(database, kysely, rows))[0];
    },
  };
}

async function createVersion(
  database: RecordDatabase,
  transaction: RecordTransaction,
  version: NewRegistryVersion,
  find: (reader: Reader, name: string, version: number) => Promise<RegistryVersion>,
): Promise<RegistryVersion> {
  await touchModel(database, transaction, version.name);
  const row = await insertVersion(database, transaction, {
    name: version.name,
    digest: version.artifact?.digest ?? "",
    verdict_id: version.verdictId ?? "",
    artifact: toJson(version.artifact),
    source: version.source,
    location: version.location ?? null,
    run_id: version.runId ?? null,
    run_link: version.runLink ?? null,
    model_id: version.modelId ?? null,
    description: version.description ?? null,
    user_id: version.createdBy,
    idempotent: 0,
  });
  const tags: Record<string, string> = { ...version.tags };
  if (version.verdictId !== undefined) Object.assign(tags, { [gateTag]: "passed", [verdictTag]: version.verdictId });
  for (const [key, value] of Object.entries(tags)) {
    await putVersionTag(database, transaction, version.name, row.version, key, value);
  }
  if (version.modelId !== undefined) {
    await tellLoggedModel(database, transaction, version.modelId, version.name, row.version);
  }
  await tellVersionCreated(database, transaction, { ...version, tags, version: row.version });
  await noteRegistry(database, transaction, { kind: "version", subject: `${version.name}/${row.version}` });
  return find(transaction, version.name, row.version);
}

/** Where a logged model was registered to is one of its tags: JSON, as MLflow's clients read it. */
const registeredTag = "mlflow.modelVersions";

async function tellLoggedModel(
  { projectId }: RecordDatabase,
  transaction: RecordTransaction,
  modelId: string,
  name: string,
  version: number,
): Promise<void> {
  const held = await transaction
    .selectFrom("logged_model_tags")
    .select("value")
    .where("project_id", "=", projectId)
    .where("model_id", "=", modelId)
    .where("key", "=", registeredTag)
    .executeTakeFirst();
  const value = JSON.stringify([...listIn(held?.value), { name, version }]);
  await transaction
    .insertInto("logged_model_tags")
    .values({ project_id: projectId, model_id: modelId, key: registeredTag, value })
    .onConflict((conflict) => conflict.columns(["project_id", "model_id", "key"]).doUpdateSet({ value }))
    .execute();
}

/** A client may have set the tag to anything. */
function listIn(text: string | undefined): unknown[] {
  try {
    const value: unknown = JSON.parse(text ?? "[]");
    return Array.isArray(value) ? value : [];
  } catch {
    return [];
  }
}

async function deleteVersion(
  database: RecordDatabase,
  transaction: RecordTransaction,
  name: string,
  version: number,
  by: string,
): Promise<void> {
  const { projectId } = database;
  if ((await aliveRow(database, transaction, name, version)) === undefined) noVersion(name, version);
  await touchModel(database, transaction, name);
  await refuseServed(database, transaction, name, version, "deleted");
  const aliases = await transaction
    .selectFrom("aliases")
    .select("alias")
    .where("project_id", "=", projectId)
    .where("name", "=", name)
    .where("version", "=", version)
    .execute();
  for (const { alias } of aliases) {
    const reason = `version ${version} was deleted`;
    await setAlias(database, transaction, { name, alias, toVersion: undefined, changedBy: by, reason });
  }
  await transaction
    .updateTable("model_versions")
    .set({
      stage: deletedStage,
      source: "REDACTED-SOURCE-PATH",
      digest: "",
      artifact: null,
      signature: null,
      location: null,
      verdict_id: "",
      description: null,
      user_id: "",
      run_id: null,
      attempt_id: null,
      run_link: null,
      model_id: null,
      status_message: null,
      idempotent: 0,
      last_updated_time: database.now,
    })
    .where("project_id", "=", projectId)
    .where("name", "=", name)
    .where("version", "=", version)
    .execute();
  await noteRegistry(database, transaction, { kind: "version", subject: `${name}/${version}` });
}

function highestVersion(
  { projectId }: RecordDatabase,
  reader: Reader,
  name: string,
): Promise<{ version: number } | undefined> {
  return reader
    .selectFrom("model_versions")
    .select("version")
    .where("project_id", "=", projectId)
    .where("name", "=", name)
    .where("stage", "<>", deletedStage)
    .orderBy("version", "desc")
    .limit(1)
    .executeTakeFirst();
}

function noVersion(name: string, version: number): never {
  throw new EspalierError("NOT_FOUND", `Model Version (name=${name}, version=${version}) not found`);
}
