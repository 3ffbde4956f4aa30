import { type Selectable, sql } from "kysely";
import type { RecordDatabase } from "../../database.ts";
import { fromJson, present, presentJson, toJson } from "../../json.ts";
import { keyset, type Page, type PageRequest } from "../../page.ts";
import type { TransfersTable } from "../../schema/mirrors.ts";

export type TransferDirection = "import" | "export";
/** unequal: everything was carried, and the counts at the end differ. */
export type TransferState = "running" | "done" | "unequal" | "failed";

export interface TransferRow {
  id: string;
  direction: TransferDirection;
  /** The server, folder or file that it is from or to. */
  peer: string;
  state: TransferState;
  options: Readonly<Record<string, unknown>>;
  result?: Readonly<Record<string, unknown>>;
  error?: Readonly<Record<string, unknown>>;
  createdBy: string;
  createdAt: number;
  finishedAt?: number;
}

export type TransferKind = "experiment" | "run" | "model" | "registered-model" | "version";
/** What the source had of a thing; numbers are added up in the end. */
export type TransferCounts = Readonly<Record<string, number>>;

export interface TransferItem {
  kind: TransferKind;
  sourceId: string;
  targetId: string;
  /** Where its files lie in our artifact proxy, or (export) over there. */
  root?: string;
  counts: TransferCounts;
  /** Where its files lay at the source. */
  sourceRoot?: string;
  /** Carried whole in this pass. */
  done: boolean;
}

/** The side of a transfer that its ledger is kept for. */
export interface TransferPeer {
  direction: TransferDirection;
  peer: string;
}

export interface TransferQueries {
  start(transfer: Pick<TransferRow, "id" | "direction" | "peer" | "options" | "createdBy">): Promise<TransferRow>;
  finish(id: string, end: Pick<TransferRow, "state" | "result" | "error">): Promise<void>;
  get(id: string): Promise<TransferRow | undefined>;
  /** Newest first. */
  list(page: PageRequest): Promise<Page<TransferRow>>;
  /** Goes on with a pass that did not end (true), or begins another in which nothing is done yet. */
  resume(peer: TransferPeer, except: string): Promise<boolean>;
  item(peer: TransferPeer, kind: TransferKind, sourceId: string): Promise<TransferItem | undefined>;
  put(peer: TransferPeer, item: TransferItem): Promise<void>;
  /** In order of source id. */
  items(peer: TransferPeer, kind: TransferKind, afterSourceId: string, limit: number): Promise<TransferItem[]>;
  /** true when an import of any source made (or took over) this thing of ours. */
  isImported(kind: TransferKind, targetId: string): Promise<boolean>;
}

interface StoredCounts {
  counts: TransferCounts;
  sourceRoot?: string;
}

export function createTransferQueries(database: RecordDatabase): TransferQueries {
  const { kysely, projectId } = database;
  const ledger = ({ direction, peer }: TransferPeer) =>
    kysely
      .selectFrom("transfer_items")
      .selectAll()
      .where("project_id", "=", projectId)
      .where("direction", "=", direction)
      .where("peer", "=", peer);

  return {
    start: async ({ id, direction, peer, options, createdBy }) => {
      const row = await kysely
        .insertInto("transfers")
        .values({
          project_id: projectId,
          transfer_id: id,
          direction,
          peer,
          state: "running",
          options: JSON.stringify(options),
          created_by: createdBy,
          created_at: database.now,
        })
        .returningAll()
        .executeTakeFirstOrThrow();
      return toRow(row);
    },
    finish: async (id, { state, result, error }) => {
      await kysely
        .updateTable("transfers")
        .set({ state, result: toJson(result), error: toJson(error), finished_at: database.now })
        .where("project_id", "=", projectId)
        .where("transfer_id", "=", id)
        .execute();
    },
    get: async (id) => {
      const row = await kysely
        .selectFrom("transfers")
        .selectAll()
        .where("project_id", "=", projectId)
        .where("transfer_id", "=", id)
        .executeTakeFirst();
      return row === undefined ? undefined : toRow(row);
    },
    list: async (request) => {
      const keys = keyset(request, "descending", { created_at: "integer", transfer_id: "text" });
      const rows = await kysely
        .selectFrom("transfers")
        .selectAll()
        .where("project_id", "=", projectId)
        .where(keys.after)
        .orderBy("created_at", "desc")
        .orderBy("transfer_id", "desc")
        .limit(keys.fetch)
        .execute();
      return keys.page(rows, (row) => [row.created_at, row.transfer_id], toRow);
    },
    resume: ({ direction, peer }, except) =>
      database.transaction(async (transaction) => {
        const last = await transaction
          .selectFrom("transfers")
          .select("state")
          .where("project_id", "=", projectId)
          .where("direction", "=", direction)
          .where("peer", "=", peer)
          .where("transfer_id", "<>", except)
          .orderBy("created_at", "desc")
          .orderBy("transfer_id", "desc")
          .limit(1)
          .executeTakeFirst();
        if (last?.state === "running" || last?.state === "failed") return true;
        await transaction
          .updateTable("transfer_items")
          .set({ done: 0 })
          .where("project_id", "=", projectId)
          .where("direction", "=", direction)
          .where("peer", "=", peer)
          .execute();
        return false;
      }),
    item: async (peer, kind, sourceId) => {
      const row = await ledger(peer).where("kind", "=", kind).where("source_id", "=", sourceId).executeTakeFirst();
      return row === undefined ? undefined : toItem(row);
    },
    put: async ({ direction, peer }, { kind, sourceId, targetId, root, counts, sourceRoot, done }) => {
      const stored: StoredCounts = { counts, ...(sourceRoot === undefined ? {} : { sourceRoot }) };
      const values = { target_id: targetId, root: root ?? null, counts: JSON.stringify(stored), done: done ? 1 : 0 };
      await kysely
        .insertInto("transfer_items")
        .values({ project_id: projectId, direction, peer, kind, source_id: sourceId, ...values })
        .onConflict((conflict) =>
          conflict.columns(["project_id", "direction", "peer", "kind", "source_id"]).doUpdateSet(values),
        )
        .execute();
    },
    items: async (peer, kind, after, limit) =>
      (
        await ledger(peer)
          .where("kind", "=", kind)
          .where("source_id", ">", after)
          .orderBy("source_id")
          .limit(Math.min(limit, 1000))
          .execute()
      ).map(toItem),
    isImported: async (kind, targetId) => {
      const row = await kysely
        .selectFrom("transfer_items")
        .select(sql<number>`1`.as("found"))
        .where("project_id", "=", projectId)
        .where("direction", "=", "import")
        .where("kind", "=", kind)
        .where("target_id", "=", targetId)
        .limit(1)
        .executeTakeFirst();
      return row !== undefined;
    },
  };
}

function toItem(row: {
  kind: string;
  source_id: string;
  target_id: string;
  root: string | null;
  counts: string;
  done: number;
}): TransferItem {
  const { counts, sourceRoot } = fromJson<StoredCounts>(row.counts);
  return {
    kind: row.kind as TransferKind,
    sourceId: row.source_id,
    targetId: row.target_id,
    ...present("root", row.root),
    counts,
    ...(sourceRoot === undefined ? {} : { sourceRoot }),
    done: row.done === 1,
  };
}

function toRow(row: Selectable<TransfersTable>): TransferRow {
  return {
    id: row.transfer_id,
    direction: row.direction as TransferDirection,
    peer: row.peer,
    state: row.state as TransferState,
    options: fromJson(row.options),
    ...presentJson<"result", Record<string, unknown>>("result", row.result),
    ...presentJson<"error", Record<string, unknown>>("error", row.error),
    createdBy: row.created_by,
    createdAt: row.created_at,
    ...present("finishedAt", row.finished_at),
  };
}
