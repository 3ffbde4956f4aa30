import type { ArtifactRef } from "@espalier/core";
import { type Selectable, sql } from "kysely";
import type { RecordDatabase, RecordTransaction } from "../../database.ts";
import { fromJson, present } from "../../json.ts";
import type { ModelVersionsTable, RegisteredModelsTable } from "../../schema/registry.ts";

/** A version as MLflow's clients see it; the same row is `ModelVersionRow` to everybody else. Times are ms since the epoch. */
export interface RegistryVersion {
  name: string;
  version: number;
  createdAt: number;
  updatedAt: number;
  description?: string;
  userId: string;
  stage: string;
  source: string;
  /** Path of the artifact proxy that the source stands for. */
  location?: string;
  /** Absent as long as nobody needed the content of a version that a client registered by address. */
  artifact?: ArtifactRef;
  verdictId?: string;
  runId?: string;
  runLink?: string;
  modelId?: string;
  status: string;
  statusMessage?: string;
  tags: Readonly<Record<string, string>>;
  aliases: string[];
}

export interface RegistryModel {
  name: string;
  createdAt: number;
  updatedAt: number;
  description?: string;
  tags: Readonly<Record<string, string>>;
  aliases: Readonly<Record<string, number>>;
  /** The newest version of each stage, by version. */
  latestVersions: RegistryVersion[];
}

/** Of a version that is gone: its number stays taken, and nobody sees it. */
export const deletedStage = "Deleted_Internal";

/** Registered models with this tag are prompts: they share the tables, and are no models. */
export const promptTag = "mlflow.prompt.is_prompt";

/** What a gate said of a version that a pipeline registered; clients may read these tags and not write them. */
export const gateTag = "espalier.gate";
export const verdictTag = "espalier.verdict";

export type Reader = Pick<RecordTransaction, "selectFrom">;

/** A version that was not deleted. */
export function aliveRow(
  { projectId }: Pick<RecordDatabase, "projectId">,
  reader: Reader,
  name: string,
  version: number,
): Promise<Selectable<ModelVersionsTable> | undefined> {
  return reader
    .selectFrom("model_versions")
    .selectAll()
    .where("project_id", "=", projectId)
    .where("name", "=", name)
    .where("version", "=", version)
    .where("stage", "<>", deletedStage)
    .executeTakeFirst();
}

/** Adds tags and aliases; the rows may be of several models. */
export async function versionsOf(
  { projectId }: RecordDatabase,
  reader: Reader,
  rows: readonly Selectable<ModelVersionsTable>[],
): Promise<RegistryVersion[]> {
  if (rows.length === 0) return [];
  const tags = new Map<string, Record<string, string>>();
  for (const portion of portions(rows)) {
    const places = portion.map((row) => sql`(CAST(${row.name} AS TEXT), CAST(${row.version} AS BIGINT))`);
    const found = await reader
      .selectFrom("model_version_tags")
      .select(["name", "version", "key", "value"])
      .where("project_id", "=", projectId)
      .where(sql<boolean>`(name, version) IN (VALUES ${sql.join(places)})`)
      .orderBy("key")
      .execute();
    for (const { name, version, key, value } of found) {
      const place = `${name}/${version}`;
      const held = tags.get(place) ?? {};
      held[key] = value;
      tags.set(place, held);
    }
  }
  const aliases = new Map<string, string[]>();
  for (const names of portions([...new Set(rows.map((row) => row.name))])) {
    for (const { name, alias, version } of await aliasesOf(projectId, reader, names)) {
      const place = `${name}/${version}`;
      aliases.set(place, [...(aliases.get(place) ?? []), alias]);
    }
  }
  return rows.map((row) => ({
    name: row.name,
    version: row.version,
    createdAt: row.creation_time,
    updatedAt: row.last_updated_time,
    ...present("description", row.description),
    userId: row.user_id,
    stage: row.stage,
    source: row.source,
    ...present("location", row.location),
    ...(row.artifact === null ? {} : { artifact: fromJson<ArtifactRef>(row.artifact) }),
    ...present("verdictId", row.verdict_id === "" ? null : row.verdict_id),
    ...present("runId", row.run_id),
    ...present("runLink", row.run_link),
    ...present("modelId", row.model_id),
    status: row.status,
    ...present("statusMessage", row.status_message),
    tags: tags.get(`${row.name}/${row.version}`) ?? {},
    aliases: aliases.get(`${row.name}/${row.version}`) ?? [],
  }));
}

/** Adds tags, aliases and the newest version of each stage. */
export async function modelsOf(
  database: RecordDatabase,
  reader: Reader,
  rows: readonly Selectable<RegisteredModelsTable>[],
): Promise<RegistryModel[]> {
  if (rows.length === 0) return [];
  const { projectId } = database;
  const models: RegistryModel[] = [];
  for (const portion of portions(rows)) {
    const names = portion.map((row) => row.name);
    const tags = await reader
      .selectFrom("registered_model_tags")
      .select(["name", "key", "value"])
      .where("project_id", "=", projectId)
      .where("name", "in", names)
      .orderBy("key")
      .execute();
    const aliases = await aliasesOf(projectId, reader, names);
    const latest = await latestVersionsOf(database, reader, names);
    const byName = <Row extends { name: string }>(all: readonly Row[]): Map<string, Row[]> =>
      Map.groupBy(all, (one) => one.name);
    const [tagsOf, aliasesByName, latestOf] = [byName(tags), byName(aliases), byName(latest)];
    for (const row of portion) {
      models.push({
        name: row.name,
        createdAt: row.creation_time,
        updatedAt: row.last_updated_time,
        ...present("description", row.description),
        tags: Object.fromEntries((tagsOf.get(row.name) ?? []).map((one) => [one.key, one.value])),
        aliases: Object.fromEntries((aliasesByName.get(row.name) ?? []).map((one) => [one.alias, one.version])),
        latestVersions: latestOf.get(row.name) ?? [],
      });
    }
  }
  return models;
}

/** The newest version of each stage of each model, in order of version. */
async function latestVersionsOf(
  database: RecordDatabase,
  reader: Reader,
  names: readonly string[],
): Promise<RegistryVersion[]> {
  const rows = await reader
    .selectFrom("model_versions")
    .selectAll("model_versions")
    .innerJoin(
      (from) =>
        from
          .selectFrom("model_versions")
          .select((columns) => ["name", "stage", columns.fn.max<number>("version").as("newest")])
          .where("project_id", "=", database.projectId)
          .where("name", "in", names)
          .where("stage", "<>", deletedStage)
          .groupBy(["name", "stage"])
          .as("latest"),
      (join) =>
        join.onRef("latest.name", "=", "model_versions.name").onRef("latest.newest", "=", "model_versions.version"),
    )
    .where("model_versions.project_id", "=", database.projectId)
    .orderBy("model_versions.name")
    .orderBy("model_versions.version")
    .execute();
  return versionsOf(database, reader, rows);
}

function aliasesOf(
  projectId: string,
  reader: Reader,
  names: readonly string[],
): Promise<{ name: string; alias: string; version: number }[]> {
  return reader
    .selectFrom("aliases")
    .select(["name", "alias", "version"])
    .where("project_id", "=", projectId)
    .where("name", "in", names)
    .orderBy("name")
    .orderBy("alias")
    .execute();
}

/** A statement takes a bounded number of values. */
function* portions<Item>(items: readonly Item[]): Generator<Item[]> {
  for (let start = 0; start < items.length; start += 400) yield items.slice(start, start + 400);
}
