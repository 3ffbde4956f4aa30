import { type RawBuilder, type SqlBool, sql } from "kysely";
import type { RecordDatabase } from "../../database.ts";
import { compareInteger, compareText, type FilterComparison, type OrderTerm } from "../filtering.ts";
import {
  deletedStage,
  modelsOf,
  promptTag,
  type RegistryModel,
  type RegistryVersion,
  versionsOf,
} from "./registry-rows.ts";

export interface RegistrySearch {
  comparisons: readonly FilterComparison[];
  order: readonly OrderTerm[];
  /** Rows to pass over, and rows to answer. */
  offset: number;
  limit: number;
}

/** Prompts are found only by a filter that asks for them: `tags.mlflow.prompt.is_prompt = 'true'`. */
export interface RegistrySearchQueries {
  /** Keys: attribute name; tag. Order: name, last_updated_timestamp; by name in the end. */
  models(search: RegistrySearch): Promise<RegistryModel[]>;
  /** Keys: attribute name, version_number, run_id, source_path; tag. Order also by creation_timestamp; by name and version in the end. */
  versions(search: RegistrySearch): Promise<RegistryVersion[]>;
}

type Condition = RawBuilder<SqlBool>;
type Table = "registered_models" | "model_versions";

export function createRegistrySearch(database: RecordDatabase): RegistrySearchQueries {
  const { reader, projectId } = database;
  return {
    models: async ({ comparisons, order, offset, limit }) => {
      let query = reader
        .selectFrom("registered_models")
        .selectAll()
        .where("project_id", "=", projectId)
        .where(({ and }) => and(conditions(projectId, "registered_models", comparisons)));
      for (const { key, ascending } of withLast(order, { name: true })) {
        query = query.orderBy(modelColumns[key] ?? "name", ascending ? "asc" : "desc");
      }
      return modelsOf(database, reader, await query.limit(limit).offset(offset).execute());
    },
    versions: async ({ comparisons, order, offset, limit }) => {
      let query = reader
        .selectFrom("model_versions")
        .selectAll()
        .where("project_id", "=", projectId)
        .where("stage", "<>", deletedStage)
        .where(({ and }) => and(conditions(projectId, "model_versions", comparisons)));
      for (const { key, ascending } of withLast(order, { name: true, version_number: false })) {
        query = query.orderBy(versionColumns[key] ?? "name", ascending ? "asc" : "desc");
      }
      return versionsOf(database, reader, await query.limit(limit).offset(offset).execute());
    },
  };
}

const modelColumns: Readonly<Record<string, "name" | "last_updated_time">> = {
  name: "name",
  last_updated_timestamp: "last_updated_time",
};

const versionColumns: Readonly<Record<string, "name" | "version" | "creation_time" | "last_updated_time">> = {
  name: "name",
  version_number: "version",
  creation_timestamp: "creation_time",
  last_updated_timestamp: "last_updated_time",
};

/** Ends an order with what is unique, so that pages neither repeat nor miss a row. */
function withLast(
  order: readonly OrderTerm[],
  last: Readonly<Record<string, boolean>>,
): Pick<OrderTerm, "key" | "ascending">[] {
  const missing = Object.entries(last).filter(([key]) => !order.some((term) => term.key === key));
  return [...order, ...missing.map(([key, ascending]) => ({ key, ascending }))];
}

function conditions(projectId: string, table: Table, comparisons: readonly FilterComparison[]): Condition[] {
  const aboutPrompts = comparisons.filter((one) => one.entity === "tag" && one.key === promptTag);
  const wantsPrompts = aboutPrompts.some(asksForPrompts);
  const others = wantsPrompts ? comparisons : comparisons.filter((one) => !aboutPrompts.includes(one));
  return [
    ...others.map((one) => condition(projectId, table, one)),
    ...(wantsPrompts ? [] : noPrompt(projectId, table)),
  ];
}

/** Models lack the tag, so that any other comparison of it means "no prompts". */
function asksForPrompts({ operator, value }: FilterComparison): boolean {
  const text = String(value).toLowerCase();
  return (operator === "=" && text === "true") || (operator === "!=" && text === "false");
}

function condition(projectId: string, table: Table, comparison: FilterComparison): Condition {
  if (comparison.entity === "tag") {
    return tagged(
      projectId,
      table,
      sql`tag.key = ${comparison.key} AND ${compareText(sql.ref("tag.value"), comparison)}`,
    );
  }
  const column = (name: string): RawBuilder<never> => sql.ref(`${table}.${name}`);
  if (comparison.key === "version_number") return compareInteger(column("version"), comparison);
  const names: Readonly<Record<string, string>> = { run_id: "run_id", source_path: "source" };
  return compareText(column(names[comparison.key] ?? "name"), comparison);
}

function noPrompt(projectId: string, table: Table): Condition[] {
  const mark = sql`tag.key = ${promptTag} AND tag.value = 'true'`;
  const none = (found: Condition): Condition => sql<SqlBool>`NOT ${found}`;
  const ofModel = sql<SqlBool>`EXISTS (SELECT 1 FROM registered_model_tags AS tag
    WHERE tag.project_id = ${projectId} AND tag.name = ${sql.ref(`${table}.name`)} AND ${mark})`;
  return table === "registered_models" ? [none(ofModel)] : [none(ofModel), none(tagged(projectId, table, mark))];
}

function tagged(projectId: string, table: Table, mark: RawBuilder<unknown>): Condition {
  return table === "registered_models"
    ? sql<SqlBool>`EXISTS (SELECT 1 FROM registered_model_tags AS tag
        WHERE tag.project_id = ${projectId} AND tag.name = registered_models.name AND ${mark})`
    : sql<SqlBool>`EXISTS (SELECT 1 FROM model_version_tags AS tag
        WHERE tag.project_id = ${projectId} AND tag.name = model_versions.name AND tag.version = model_versions.version AND ${mark})`;
}
