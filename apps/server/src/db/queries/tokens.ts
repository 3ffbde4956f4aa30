import { createHash, randomBytes, randomUUID } from "node:crypto";
import { EspalierError } from "@espalier/core";
import { type Selectable, sql } from "kysely";
import type { RecordDatabase } from "../database.ts";
import { present } from "../json.ts";
import { keyset, type Page, type PageRequest } from "../page.ts";
import type { TokensTable } from "../schema/operations.ts";

export type TokenRole = "viewer" | "editor" | "admin";

/** What a token is good for: the project, or one run, experiment or attempt of it. */
export type TokenScope = { kind: "project" } | { kind: "run" | "experiment" | "attempt"; id: string };

export interface NewToken {
  name: string;
  role: TokenRole;
  scope?: TokenScope;
  expiresInSeconds?: number;
  createdBy: string;
}

export interface TokenRow {
  id: string;
  name: string;
  role: TokenRole;
  scope: TokenScope;
  createdBy: string;
  createdAt: number;
  expiresAt?: number;
  lastUsedAt?: number;
  revokedAt?: number;
}

export interface TokenQueries {
  /** `token` is shown this once; only its hash is kept. */
  create(token: NewToken): Promise<TokenRow & { token: string }>;
  /** The row of a token that is neither revoked nor expired. */
  verify(token: string): Promise<TokenRow | undefined>;
  /** Newest first. */
  list(page: PageRequest): Promise<Page<TokenRow>>;
  /** Idempotent. Errors: NOT_FOUND. */
  revoke(id: string): Promise<void>;
  /** Tokens of a run or attempt that ended; those of attempts the engine's own moves take away. */
  revokeScope(scope: Exclude<TokenScope, { kind: "project" }>): Promise<void>;
}

/** `last_used_at` tells days, not requests: writing it at each request would make every read a write. */
const usedPrecisionMilliseconds = 60_000;

export function createTokenQueries(database: RecordDatabase): TokenQueries {
  const { kysely, projectId } = database;
  return {
    create: async (token) => {
      const text = `esp_${randomBytes(32).toString("base64url")}`;
      const scope = token.scope ?? { kind: "project" };
      const row = await kysely
        .insertInto("tokens")
        .values({
          project_id: projectId,
          token_id: randomUUID(),
          hash: hashOf(text),
          name: token.name,
          role: token.role,
          scope_kind: scope.kind,
          scope_id: scope.kind === "project" ? null : scope.id,
          created_by: token.createdBy,
          created_at: database.now,
          expires_at:
            token.expiresInSeconds === undefined
              ? null
              : sql<number>`${database.now} + ${sql.lit(Math.round(token.expiresInSeconds * 1000))}`,
        })
        .returningAll()
        .executeTakeFirstOrThrow();
      return { ...toRow(row), token: text };
    },
    verify: async (token) => {
      const row = await kysely
        .selectFrom("tokens")
        .selectAll()
        .select(database.now.as("now"))
        .where("project_id", "=", projectId)
        .where("hash", "=", hashOf(token))
        .where("revoked_at", "is", null)
        .where((columns) => columns.or([columns("expires_at", "is", null), columns("expires_at", ">", database.now)]))
        .executeTakeFirst();
      if (row === undefined) return undefined;
      if (row.last_used_at === null || row.last_used_at < row.now - usedPrecisionMilliseconds) {
        await kysely
          .updateTable("tokens")
          .set({ last_used_at: database.now })
          .where("project_id", "=", projectId)
          .where("token_id", "=", row.token_id)
          .execute();
      }
      return toRow(row);
    },
    list: async (request) => {
      const keys = keyset(request, "descending", { created_at: "integer", token_id: "text" });
      const rows = await kysely
        .selectFrom("tokens")
        .selectAll()
        .where("project_id", "=", projectId)
        .where("scope_kind", "=", "project")
        .where(keys.after)
        .orderBy("created_at", "desc")
        .orderBy("token_id", "desc")
        .limit(keys.fetch)
        .execute();
      return keys.page(rows, (row) => [row.created_at, row.token_id], toRow);
    },
    revoke: async (id) => {
      const row = await kysely
        .updateTable("tokens")
        .set({ revoked_at: sql<number>`coalesce(revoked_at, ${database.now})` })
        .where("project_id", "=", projectId)
        .where("token_id", "=", id)
        .returning("token_id")
        .executeTakeFirst();
      if (row === undefined) throw new EspalierError("NOT_FOUND", `There is no token ${id}`);
    },
    revokeScope: async ({ kind, id }) => {
      await kysely
        .updateTable("tokens")
        .set({ revoked_at: database.now })
        .where("project_id", "=", projectId)
        .where("scope_kind", "=", kind)
        .where("scope_id", "=", id)
        .where("revoked_at", "is", null)
        .execute();
    },
  };
}

/** A token is 256 random bits: a plain hash is as good as a slow one, and a look-up by it tells nothing by its time. */
function hashOf(token: string): string {
  return createHash("sha256").update(token).digest("hex");
}

function toRow(row: Selectable<TokensTable>): TokenRow {
  return {
    id: row.token_id,
    name: row.name,
    role: row.role as TokenRole,
    scope:
      row.scope_id === null
        ? { kind: "project" }
        : { kind: row.scope_kind as Exclude<TokenScope["kind"], "project">, id: row.scope_id },
    createdBy: row.created_by,
    createdAt: row.created_at,
    ...present("expiresAt", row.expires_at),
    ...present("lastUsedAt", row.last_used_at),
    ...present("revokedAt", row.revoked_at),
  };
}
