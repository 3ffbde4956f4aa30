import type { Json } from "@espalier/core";
import { nextNumber, type RecordDatabase } from "../database.ts";
import { fromJson, present } from "../json.ts";
import { keyset, type Page, type PageRequest } from "../page.ts";

export interface AuditEntry {
  actor: string;
  /** The route's name, such as `runs.create`. */
  action: string;
  /** What was changed: `run:01J...`. */
  subject?: string;
  /** `ok`, or the code of the error. */
  outcome: string;
  /** Never a secret. */
  details?: Readonly<Record<string, Json>>;
}

export interface AuditRow extends AuditEntry {
  /** From 1, without gaps. */
  id: number;
  at: number;
  details: Readonly<Record<string, Json>>;
}

export interface AuditQueries {
  append(entry: AuditEntry): Promise<void>;
  /** Newest first. */
  list(filter: { actor?: string | undefined; action?: string | undefined }, page: PageRequest): Promise<Page<AuditRow>>;
}

export function createAuditQueries(database: RecordDatabase): AuditQueries {
  const { kysely, projectId } = database;
  return {
    append: (entry) =>
      database.transaction(async (transaction) => {
        await transaction
          .insertInto("audit")
          .values({
            project_id: projectId,
            number: await nextNumber(database, transaction, "audit"),
            at: database.now,
            actor: entry.actor,
            action: entry.action,
            subject: entry.subject ?? null,
            outcome: entry.outcome,
            details: JSON.stringify(entry.details ?? {}),
          })
          .execute();
      }),
    list: async (filter, request) => {
      const keys = keyset(request, "descending", { number: "integer" });
      let query = kysely
        .selectFrom("audit")
        .selectAll()
        .where("project_id", "=", projectId)
        .where(keys.after)
        .orderBy("number", "desc")
        .limit(keys.fetch);
      if (filter.actor !== undefined) query = query.where("actor", "=", filter.actor);
      if (filter.action !== undefined) query = query.where("action", "=", filter.action);
      return keys.page(
        await query.execute(),
        (row) => [row.number],
        (row) => ({
          id: row.number,
          at: row.at,
          actor: row.actor,
          action: row.action,
          ...present("subject", row.subject),
          outcome: row.outcome,
          details: fromJson(row.details),
        }),
      );
    },
  };
}
