import { EspalierError } from "@espalier/core";
import { type RawBuilder, sql } from "kysely";

/** `cursor` is the `next` of the page before; its content is nobody else's business. */
export interface PageRequest {
  /** 1 to 1000; 100 when left out. */
  limit?: number | undefined;
  cursor?: string | undefined;
}

export interface Page<Item> {
  items: Item[];
  /** Absent on the last page. */
  next?: string;
}

type KeyValue = string | number | bigint;

/** Kinds of the values in a key: text, 64-bit integer, double. */
export type KeyKind = "text" | "integer" | "real";

/**
 * Pages by the key of the last row, so that a page costs the same wherever it is and rows that come and go shift nothing.
 * `columns` must be the order of the query, all in one direction, and unique together.
 */
export interface Keyset {
  limit: number;
  /** Rows to ask for: one more than the page, to see whether another follows. */
  fetch: number;
  /** True for rows after the cursor; always true without one. */
  after: RawBuilder<boolean>;
  page<Row, Item>(rows: readonly Row[], key: (row: Row) => KeyValue[], item: (row: Row) => Item): Page<Item>;
}

export function keyset(
  request: PageRequest,
  direction: "ascending" | "descending",
  columns: Readonly<Record<string, KeyKind>>,
): Keyset {
  const limit = request.limit ?? 100;
  if (!Number.isInteger(limit) || limit < 1 || limit > 1000) {
    throw new EspalierError("INVALID_INPUT", "A page holds 1 to 1000 items", { at: "limit" });
  }
  const names = Object.keys(columns);
  return {
    limit,
    fetch: limit + 1,
    after:
      request.cursor === undefined
        ? sql<boolean>`1 = 1`
        : sql<boolean>`(${sql.join(names.map((name) => sql.ref(name)))}) ${sql.raw(direction === "ascending" ? ">" : "<")} (${sql.join(readCursor(request.cursor, Object.values(columns)))})`,
    page: (rows, key, item) => {
      const shown = rows.slice(0, limit);
      const last = shown.at(-1);
      return {
        items: shown.map(item),
        ...(rows.length > limit && last !== undefined ? { next: writeCursor(key(last)) } : {}),
      };
    },
  };
}

function writeCursor(key: readonly KeyValue[]): string {
  // As text: JSON has neither bigint nor infinities.
  return Buffer.from(JSON.stringify(key.map(String))).toString("base64url");
}

function readCursor(cursor: string, kinds: readonly KeyKind[]): KeyValue[] {
  try {
    const texts: unknown = JSON.parse(Buffer.from(cursor, "base64url").toString());
    if (Array.isArray(texts) && texts.length === kinds.length) {
      return kinds.map((kind, index) => readKeyValue(String(texts[index]), kind));
    }
  } catch (error) {
    throw badCursor(error);
  }
  throw badCursor(undefined);
}

function readKeyValue(text: string, kind: KeyKind): KeyValue {
  if (kind === "text") return text;
  if (kind === "integer") return BigInt.asIntN(64, BigInt(text));
  const value = Number(text);
  if (Number.isNaN(value)) throw badCursor(undefined);
  return value;
}

function badCursor(cause: unknown): EspalierError {
  return new EspalierError("INVALID_INPUT", "The cursor is not one that a list gave", {
    cause,
    at: "cursor",
    hint: "Pass the `next` of the page before, unchanged, or none for the first page.",
  });
}
