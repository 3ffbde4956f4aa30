import { type ErrorCode, EspalierError, type Json } from "@espalier/core";
import { type Selectable, sql } from "kysely";
import type { RecordDatabase } from "../database.ts";
import { fromJson, present } from "../json.ts";
import type { EndpointDeclarationsTable } from "../schema/registry.ts";

/**
 * pending: to be looked at. waiting: for a model or an alias. settled: what was declared has been begun or is in force (a rollout goes its
 * own way). failed: `code` and `message` say why; what may pass is tried again at `dueAt`, the rest when the target or the text changes.
 */
export type DeclarationState = "pending" | "waiting" | "settled" | "failed";

export interface DeclarationRow {
  name: string;
  declaration: Json;
  state: DeclarationState;
  /** The version and the settings that were last acted on, as `EndpointDifference` names them. */
  target?: string;
  settings?: string;
  code?: ErrorCode;
  message?: string;
  tries: number;
  /** Milliseconds since the epoch. */
  dueAt: number;
  appliedBy: string;
  appliedAt: number;
}

export interface DeclarationOutcome {
  state: Exclude<DeclarationState, "pending">;
  target?: string | undefined;
  settings?: string | undefined;
  code?: ErrorCode | undefined;
  message?: string | undefined;
  /** Something was done, and not only looked at: counts as a try. */
  tried: boolean;
  /** Of a failure that may pass: when to try again, in milliseconds from now. */
  againInMilliseconds?: number | undefined;
}

export interface DeclarationQueries {
  /** By name. There are as many as a person wrote. */
  all(): Promise<DeclarationRow[]>;
  get(name: string): Promise<DeclarationRow | undefined>;
  /** Makes it the desired state and due at once; the target that was acted on stays known. */
  apply(name: string, declaration: Json, by: string): Promise<DeclarationRow>;
  /** What came of a look. Ignored when another text was applied meanwhile. */
  settle(row: DeclarationRow, outcome: DeclarationOutcome): Promise<void>;
  delete(name: string): Promise<void>;
}

export function createDeclarationQueries(database: RecordDatabase): DeclarationQueries {
  const { kysely, projectId } = database;
  const get = async (name: string): Promise<DeclarationRow | undefined> => {
    const row = await kysely
      .selectFrom("endpoint_declarations")
      .selectAll()
      .where("project_id", "=", projectId)
      .where("name", "=", name)
      .executeTakeFirst();
    return row === undefined ? undefined : toRow(row);
  };
  return {
    get,
    all: async () => {
      const rows = await kysely
        .selectFrom("endpoint_declarations")
        .selectAll()
        .where("project_id", "=", projectId)
        .orderBy("name")
        .execute();
      return rows.map(toRow);
    },
    apply: async (name, declaration, by) => {
      const change = {
        declaration: JSON.stringify(declaration),
        state: "pending",
        code: null,
        message: null,
        tries: 0,
        due_at: 0,
        applied_by: by,
        applied_at: database.now,
        updated_at: database.now,
      };
      await kysely
        .insertInto("endpoint_declarations")
        .values({ project_id: projectId, name, ...change })
        .onConflict((conflict) => conflict.columns(["project_id", "name"]).doUpdateSet(change))
        .execute();
      const row = await get(name);
      if (row === undefined) throw new EspalierError("INTERNAL", `The declaration of ${name} was not kept`);
      return row;
    },
    settle: async (row, { state, target, settings, code, message, tried, againInMilliseconds }) => {
      await kysely
        .updateTable("endpoint_declarations")
        .set({
          state,
          ...(target === undefined ? {} : { target }),
          ...(settings === undefined ? {} : { settings }),
          code: code ?? null,
          message: message ?? null,
          tries: state === "failed" ? row.tries + (tried ? 1 : 0) : 0,
          due_at: againInMilliseconds === undefined ? 0 : sql<number>`${database.now} + ${againInMilliseconds}`,
          updated_at: database.now,
        })
        .where("project_id", "=", projectId)
        .where("name", "=", row.name)
        .where("declaration", "=", JSON.stringify(row.declaration))
        .execute();
    },
    delete: async (name) => {
      await kysely
        .deleteFrom("endpoint_declarations")
        .where("project_id", "=", projectId)
        .where("name", "=", name)
        .execute();
    },
  };
}

function toRow(row: Selectable<EndpointDeclarationsTable>): DeclarationRow {
  return {
    name: row.name,
    declaration: fromJson(row.declaration),
    state: row.state as DeclarationState,
    ...present("target", row.target),
    ...present("settings", row.settings),
    ...present("code", row.code as ErrorCode | null),
    ...present("message", row.message),
    tries: row.tries,
    dueAt: row.due_at,
    appliedBy: row.applied_by,
    appliedAt: row.applied_at,
  };
}
