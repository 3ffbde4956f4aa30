import { createHash } from "node:crypto";
import { EspalierError } from "@espalier/core";
import type { OrderTerm } from "../filtering.ts";
import type { RunPosition, SortColumn, SortValue, ValueClass } from "./search-run-order.ts";

/**
 * Where a page of a search ended, as text. It holds the last run's place in the order, not a count, so that runs that come and go
 * meanwhile neither repeat nor hide one.
 */
export function writeCursor(order: readonly OrderTerm[], position: RunPosition): string {
  const places = position.map(({ class: valueClass, value }) =>
    value === null ? [valueClass] : [valueClass, `${value}`],
  );
  return Buffer.from(JSON.stringify([signature(order), ...places])).toString("base64");
}

/** INVALID_INPUT for what no search with this order gave. */
export function readCursor(cursor: string, order: readonly OrderTerm[], columns: readonly SortColumn[]): RunPosition {
  const [signed, ...places] = parse(cursor);
  if (signed !== signature(order)) throw badCursor("it is of a search with another order");
  if (places.length !== columns.length) throw badCursor("it is cut");
  return columns.map((column, index) => readPlace(column, places[index]));
}

function parse(cursor: string): unknown[] {
  try {
    const content: unknown = JSON.parse(Buffer.from(cursor, "base64").toString());
    if (Array.isArray(content)) return content;
  } catch (error) {
    throw badCursor("it is not one", error);
  }
  throw badCursor("it is not one");
}

function readPlace(column: SortColumn, place: unknown): { class: ValueClass; value: SortValue } {
  const [valueClass, text] = Array.isArray(place) ? (place as unknown[]) : [];
  if (column.class !== undefined && (valueClass === 1 || valueClass === 2)) return { class: valueClass, value: null };
  if (valueClass !== 0 || typeof text !== "string") throw badCursor("it is damaged");
  if (column.kind === "text") return { class: 0, value: text };
  if (column.kind === "integer") {
    if (!/^-?\d{1,19}$/.test(text)) throw badCursor("it is damaged");
    return { class: 0, value: BigInt.asIntN(64, BigInt(text)) };
  }
  const value = Number(text);
  if (text.trim() === "" || Number.isNaN(value)) throw badCursor("it is damaged");
  return { class: 0, value };
}

function signature(order: readonly OrderTerm[]): string {
  return createHash("sha256").update(JSON.stringify(order)).digest("base64url").slice(0, 8);
}

function badCursor(why: string, cause?: unknown): EspalierError {
  return new EspalierError("INVALID_INPUT", `Invalid page token: ${why}`, { cause, at: "page_token" });
}
