import { EspalierError } from "@espalier/core";
import { type Selectable, sql } from "kysely";
import type { RecordDatabase, RecordTransaction } from "../../database.ts";
import { noteRegistry } from "../../mirror-changes.ts";
import type { RegisteredModelsTable } from "../../schema/registry.ts";
import { setAlias } from "../aliases.ts";
import { isPrompt, tellCreated, tellWebhooks } from "./registry-events.ts";
import { modelsOf, promptTag, type RegistryModel } from "./registry-rows.ts";
import { refuseServed } from "./served.ts";

export interface NewRegisteredModel {
  name: string;
  description?: string;
  tags: Readonly<Record<string, string>>;
}

/** Messages are those that MLflow's clients know. `by` is who changes it, as the history of aliases names them. */
export interface RegisteredModelQueries {
  /** ALREADY_EXISTS. */
  create(model: NewRegisteredModel): Promise<RegistryModel>;
  /** NOT_FOUND, as all below. */
  get(name: string): Promise<RegistryModel>;
  update(name: string, description: string | undefined): Promise<RegistryModel>;
  /** ALREADY_EXISTS; CONFLICT while an endpoint serves the model. */
  rename(name: string, newName: string): Promise<RegistryModel>;
  /** With its versions, tags and aliases. CONFLICT while an endpoint serves the model. */
  delete(name: string, by: string): Promise<void>;
  /** undefined removes the tag, also when there is none. */
  setTag(name: string, key: string, value: string | undefined): Promise<void>;
}

export function createRegisteredModelQueries(database: RecordDatabase): RegisteredModelQueries {
  const { kysely, projectId } = database;

  const whole = async (reader: Pick<RecordTransaction, "selectFrom">, name: string): Promise<RegistryModel> => {
    const [model] = await modelsOf(database, reader, await rowsNamed(database, reader, name));
    return model ?? noModel(name);
  };

  return {
    create: (model) =>
      database.transaction(async (transaction) => {
        const made = await transaction
          .insertInto("registered_models")
          .values({
            project_id: projectId,
            name: model.name,
            description: model.description ?? null,
            creation_time: database.now,
            last_updated_time: database.now,
          })
          .onConflict((conflict) => conflict.doNothing())
          .returning("name")
          .executeTakeFirst();
        const asPrompt = model.tags[promptTag] !== undefined;
        if (made === undefined)
          throw taken(model.name, asPrompt, await hasPromptTag(database, transaction, model.name));
        for (const [key, value] of Object.entries(model.tags))
          await putTag(database, transaction, model.name, key, value);
        await tellCreated(database, transaction, model);
        await noteRegistry(database, transaction, { kind: "model", subject: model.name });
        return whole(transaction, model.name);
      }),
    get: (name) => whole(kysely, name),
    update: (name, description) =>
      database.transaction(async (transaction) => {
        await touchModel(database, transaction, name, { description: description ?? null });
        await noteRegistry(database, transaction, { kind: "model", subject: name });
        return whole(transaction, name);
      }),
    rename: (name, newName) =>
      database.transaction(async (transaction) => {
        await touchModel(database, transaction, name);
        if (newName !== name) await renameModel(database, transaction, name, newName);
        return whole(transaction, newName);
      }),
    delete: (name, by) =>
      database.transaction(async (transaction) => {
        await touchModel(database, transaction, name);
        await refuseServed(database, transaction, name, undefined, "deleted");
        const [model] = await modelsOf(database, transaction, await rowsNamed(database, transaction, name));
        for (const alias of Object.keys(model?.aliases ?? {})) {
          const reason = "the model was deleted";
          await setAlias(database, transaction, { name, alias, toVersion: undefined, changedBy: by, reason });
        }
        const tables = ["model_version_tags", "model_versions", "registered_model_tags", "registered_models"] as const;
        for (const table of tables) {
          await transaction.deleteFrom(table).where("project_id", "=", projectId).where("name", "=", name).execute();
        }
        await noteRegistry(database, transaction, { kind: "model", subject: name });
      }),
    setTag: (name, key, value) =>
      database.transaction(async (transaction) => {
        await touchModel(database, transaction, name);
        if (value === undefined) {
          await transaction
            .deleteFrom("registered_model_tags")
            .where("project_id", "=", projectId)
            .where("name", "=", name)
            .where("key", "=", key)
            .execute();
        } else {
          await putTag(database, transaction, name, key, value);
        }
        if (await isPrompt(database, transaction, name)) {
          if (value === undefined) await tellWebhooks(database, transaction, "prompt_tag.deleted", { name, key });
          else await tellWebhooks(database, transaction, "prompt_tag.set", { name, key, value });
        }
        await noteRegistry(database, transaction, { kind: "model", subject: name });
      }),
  };
}

/** Locks the model's row, so that changes of one model take turns. NOT_FOUND. */
export async function touchModel(
  database: RecordDatabase,
  transaction: RecordTransaction,
  name: string,
  set: { description?: string | null } = {},
): Promise<void> {
  const row = await transaction
    .updateTable("registered_models")
    .set({ ...set, last_updated_time: database.now })
    .where("project_id", "=", database.projectId)
    .where("name", "=", name)
    .returning("name")
    .executeTakeFirst();
  if (row === undefined) noModel(name);
}

export function noModel(name: string): never {
  throw new EspalierError("NOT_FOUND", `Registered Model with name=${name} not found`);
}

function rowsNamed(
  { projectId }: RecordDatabase,
  reader: Pick<RecordTransaction, "selectFrom">,
  name: string,
): Promise<Selectable<RegisteredModelsTable>[]> {
  return reader
    .selectFrom("registered_models")
    .selectAll()
    .where("project_id", "=", projectId)
    .where("name", "=", name)
    .execute();
}

async function putTag(
  { projectId }: RecordDatabase,
  transaction: RecordTransaction,
  name: string,
  key: string,
  value: string,
): Promise<void> {
  await transaction
    .insertInto("registered_model_tags")
    .values({ project_id: projectId, name, key, value })
    .onConflict((conflict) => conflict.columns(["project_id", "name", "key"]).doUpdateSet({ value }))
    .execute();
}

async function hasPromptTag(
  { projectId }: RecordDatabase,
  transaction: RecordTransaction,
  name: string,
): Promise<boolean> {
  const row = await transaction
    .selectFrom("registered_model_tags")
    .select("key")
    .where("project_id", "=", projectId)
    .where("name", "=", name)
    .where("key", "=", promptTag)
    .executeTakeFirst();
  return row !== undefined;
}

/** Clients tell a name taken by its own kind from one taken by the other. */
function taken(name: string, asPrompt: boolean, isTakenByPrompt: boolean): EspalierError {
  const kind = (prompt: boolean): string => (prompt ? "Prompt" : "Registered Model");
  if (asPrompt === isTakenByPrompt) {
    return new EspalierError("ALREADY_EXISTS", `${kind(asPrompt)} (name=${name}) already exists.`);
  }
  const [wanted, holder] = [kind(asPrompt).toLowerCase(), kind(isTakenByPrompt).toLowerCase()];
  return new EspalierError(
    "ALREADY_EXISTS",
    `Tried to create a ${wanted} with name '${name}', but the name is already taken by a ${holder}.`,
  );
}

async function renameModel(
  database: RecordDatabase,
  transaction: RecordTransaction,
  name: string,
  newName: string,
): Promise<void> {
  const { projectId } = database;
  await refuseServed(database, transaction, name, undefined, "renamed");
  const holder = await rowsNamed(database, transaction, newName);
  if (holder.length > 0)
    throw new EspalierError("ALREADY_EXISTS", `Registered Model (name=${newName}) already exists.`);
  // The graph of lineage keeps what was said under the old name, and leads on to the new one.
  await sql`INSERT INTO lineage_edges (project_id, from_node, to_node, relation, created_at)
    SELECT project_id, ${`model:${name}@`} || version, ${`model:${newName}@`} || version, 'renamed_to', ${database.now}
    FROM model_versions WHERE project_id = ${projectId} AND name = ${name}
    ON CONFLICT DO NOTHING`.execute(transaction);
  const before = await transaction
    .selectFrom("alias_history")
    .select((columns) => columns.fn.max<number | null>("number").as("highest"))
    .where("project_id", "=", projectId)
    .where("name", "=", newName)
    .executeTakeFirst();
  // A model of the new name may have been there once: its history stays, before this one's.
  await transaction
    .updateTable("alias_history")
    .set({ name: newName, number: sql<number>`number + ${sql.lit(before?.highest ?? 0)}` })
    .where("project_id", "=", projectId)
    .where("name", "=", name)
    .execute();
  await transaction
    .updateTable("model_versions")
    .set({ name: newName, last_updated_time: database.now })
    .where("project_id", "=", projectId)
    .where("name", "=", name)
    .execute();
  for (const table of ["model_version_tags", "registered_model_tags", "aliases", "registered_models"] as const) {
    await transaction
      .updateTable(table)
      .set({ name: newName })
      .where("project_id", "=", projectId)
      .where("name", "=", name)
      .execute();
  }
  await noteRegistry(database, transaction, { kind: "model", subject: name });
  await noteRegistry(database, transaction, { kind: "model", subject: newName });
}
