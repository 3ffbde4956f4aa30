import { EspalierError } from "@espalier/core";
import { sql } from "kysely";
import type { RecordDatabase, RecordTransaction } from "../database.ts";
import { present } from "../json.ts";
import { noteRegistry } from "../mirror-changes.ts";
import { keyset, type Page, type PageRequest } from "../page.ts";
import { isPrompt, tellWebhooks } from "./registry/registry-events.ts";
import { deletedStage } from "./registry/registry-rows.ts";

export interface AliasChange {
  name: string;
  alias: string;
  /** undefined removes the alias. */
  toVersion: number | undefined;
  /** What the caller believes it points to now (null: to nothing); CONFLICT when it moved. Left out: no question asked. */
  expectedVersion?: number | null;
  changedBy: string;
  reason?: string;
}

export interface AliasHistoryRow {
  number: number;
  alias: string;
  fromVersion?: number;
  toVersion?: number;
  changedBy: string;
  reason?: string;
  changedAt: number;
}

export interface AliasQueries {
  /** Idempotent: pointing to where it points already changes nothing, its history included. Errors: CONFLICT, NOT_FOUND (model, version). */
  set(change: AliasChange): Promise<{ previous: number | undefined; changed: boolean }>;
  /** Newest first. */
  history(name: string, page: PageRequest): Promise<Page<AliasHistoryRow>>;
}

export function createAliasQueries(database: RecordDatabase): AliasQueries {
  const { kysely, projectId } = database;
  return {
    set: (change) => database.transaction((transaction) => setAlias(database, transaction, change)),
    history: async (name, request) => {
      const keys = keyset(request, "descending", { number: "integer" });
      const rows = await kysely
        .selectFrom("alias_history")
        .selectAll()
        .where("project_id", "=", projectId)
        .where("name", "=", name)
        .where(keys.after)
        .orderBy("number", "desc")
        .limit(keys.fetch)
        .execute();
      return keys.page(
        rows,
        (row) => [row.number],
        (row) => ({
          number: row.number,
          alias: row.alias,
          ...present("fromVersion", row.from_version),
          ...present("toVersion", row.to_version),
          changedBy: row.changed_by,
          ...present("reason", row.reason),
          changedAt: row.changed_at,
        }),
      );
    },
  };
}

/** In a transaction of the caller's: `AliasQueries.set` by itself. */
export async function setAlias(
  database: RecordDatabase,
  transaction: RecordTransaction,
  { name, alias, toVersion, expectedVersion, changedBy, reason }: AliasChange,
): Promise<{ previous: number | undefined; changed: boolean }> {
  const place = { project_id: database.projectId, name, alias };
  // Locks the model's row: promotions of one model take turns, so that the expectation below holds until the commit.
  const model = await transaction
    .updateTable("registered_models")
    .set({ last_updated_time: database.now })
    .where("project_id", "=", database.projectId)
    .where("name", "=", name)
    .returning("name")
    .executeTakeFirst();
  if (model === undefined) throw new EspalierError("NOT_FOUND", `There is no model ${name}`);
  const present = await transaction
    .selectFrom("aliases")
    .select("version")
    .where("project_id", "=", database.projectId)
    .where("name", "=", name)
    .where("alias", "=", alias)
    .executeTakeFirst();
  const previous = present?.version;
  if (expectedVersion !== undefined && (expectedVersion ?? undefined) !== previous) {
    throw new EspalierError(
      "CONFLICT",
      `${name}@${alias} is ${describe(previous)}, not ${describe(expectedVersion ?? undefined)}`,
      {
        hint: "Somebody moved it meanwhile; look again and decide anew.",
        details: { name, alias, version: previous ?? null, expected: expectedVersion },
      },
    );
  }
  if (previous === toVersion) return { previous, changed: false };
  if (toVersion === undefined) {
    await transaction
      .deleteFrom("aliases")
      .where("project_id", "=", database.projectId)
      .where("name", "=", name)
      .where("alias", "=", alias)
      .execute();
  } else {
    const version = await transaction
      .selectFrom("model_versions")
      .select("version")
      .where("project_id", "=", database.projectId)
      .where("name", "=", name)
      .where("version", "=", toVersion)
      .where("stage", "<>", deletedStage)
      .executeTakeFirst();
    if (version === undefined) throw new EspalierError("NOT_FOUND", `There is no version ${toVersion} of ${name}`);
    await transaction
      .insertInto("aliases")
      .values({ ...place, version: toVersion, updated_at: database.now })
      .onConflict((conflict) =>
        conflict.columns(["project_id", "name", "alias"]).doUpdateSet({ version: toVersion, updated_at: database.now }),
      )
      .execute();
  }
  await transaction
    .insertInto("alias_history")
    .values({
      ...place,
      number: sql<number>`(SELECT coalesce(max(number), 0) + 1 FROM alias_history
        WHERE project_id = ${database.projectId} AND name = ${name})`,
      from_version: previous ?? null,
      to_version: toVersion ?? null,
      changed_by: changedBy,
      reason: reason ?? null,
      changed_at: database.now,
    })
    .execute();
  const kind = (await isPrompt(database, transaction, name)) ? "prompt_alias" : "model_version_alias";
  if (toVersion === undefined) await tellWebhooks(database, transaction, `${kind}.deleted`, { name, alias });
  else await tellWebhooks(database, transaction, `${kind}.created`, { name, alias, version: String(toVersion) });
  await noteRegistry(database, transaction, { kind: "aliases", subject: name });
  return { previous, changed: true };
}

function describe(version: number | undefined): string {
  return version === undefined ? "not set" : `version ${version}`;
}
