import type { TypedColumn } from "../duckdb-columns-client.ts";
import type { Feed } from "../onnx-session-client.ts";
import type { SourceColumn } from "./source-column.ts";

/** Rows `from` (inclusive) to `to` (exclusive) of a chunk's column go to `feed`, from `start` on and every `stride` values. */
export interface FillPlace {
  from: number;
  to: number;
  start: number;
  stride: number;
}

/** Tells a value that the model does not take: the row within the chunk, and what is wrong with it. */
export type ReportValue = (row: number, reason: string) => void;

export function fillFeed(
  feed: Feed,
  { values, isMissing }: TypedColumn,
  column: SourceColumn,
  place: FillPlace,
  report: ReportValue,
): void {
  if (Array.isArray(feed)) fillTexts(feed, values as readonly (string | null)[], column, place, report);
  else if (feed instanceof BigInt64Array) fillBigIntegers(feed, values, isMissing, column, place, report);
  else fillNumbers(feed, values as Float64Array, isMissing, column, place, report);
}

function fillNumbers(
  feed: Exclude<Feed, string[] | BigInt64Array>,
  source: Float32Array | Float64Array,
  isMissing: TypedColumn["isMissing"],
  column: SourceColumn,
  place: FillPlace,
  report: ReportValue,
): void {
  const { from, to, start, stride } = place;
  // Without nulls, which is the usual case, one comparison a value finds NaN and the infinities.
  const isPlain = !column.isWhole && column.limit === Number.POSITIVE_INFINITY;
  for (let row = from, at = start; row < to; row++, at += stride) {
    let value = source[row] as number;
    if (isMissing?.(row)) value = Number.NaN;
    feed[at] = value;
    if (value - value === 0 && (isPlain || isInRange(value, column))) continue;
    if (Number.isNaN(value) && column.mayBeMissing) continue;
    report(row, numberFault(value, column));
  }
}

function isInRange(value: number, column: SourceColumn): boolean {
  return (!column.isWhole || Math.trunc(value) === value) && Math.abs(value) <= column.limit;
}

function numberFault(value: number, column: SourceColumn): string {
  if (Number.isNaN(value)) return "is missing, and the model's signature does not allow that";
  if (!Number.isFinite(value)) return `is ${value}, which is no finite number`;
  if (column.isWhole && Math.trunc(value) !== value) return `is ${value}, the model takes whole numbers`;
  if (column.limit === Number.POSITIVE_INFINITY) return `is ${value}, beyond the 53 bits that its column keeps exactly`;
  return `is ${value}, the model takes 32-bit integers`;
}

function fillTexts(
  feed: string[],
  values: readonly (string | null)[],
  { mayBeMissing }: SourceColumn,
  { from, to, start, stride }: FillPlace,
  report: ReportValue,
): void {
  for (let row = from, at = start; row < to; row++, at += stride) {
    const value = values[row] ?? null;
    // Only models that Python runs may have missing texts; their worker takes null.
    feed[at] = value ?? (mayBeMissing ? (null as unknown as string) : "");
    if (value === null && !mayBeMissing) report(row, "is missing, and the model takes text");
  }
}

/** 64-bit integers stay exact; a column of another type is checked to be whole first. */
function fillBigIntegers(
  feed: BigInt64Array,
  values: TypedColumn["values"],
  isMissing: TypedColumn["isMissing"],
  column: SourceColumn,
  { from, to, start, stride }: FillPlace,
  report: ReportValue,
): void {
  for (let row = from, at = start; row < to; row++, at += stride) {
    if (isMissing?.(row)) {
      feed[at] = 0n;
      report(row, "is missing, and the model takes whole numbers");
    } else if (values instanceof BigInt64Array) {
      const value = values[row] ?? 0n;
      feed[at] = value;
      if (column.limit < Number.POSITIVE_INFINITY && (value > 0x7fffffffn || value < -0x7fffffffn)) {
        report(row, `is ${value}, the model takes 32-bit integers`);
      }
    } else {
      const value = values[row] as number;
      const isFit = Number.isSafeInteger(value) && Math.abs(value) <= column.limit;
      feed[at] = isFit ? BigInt(value) : 0n;
      if (!isFit) report(row, numberFault(value, { ...column, isWhole: true }));
    }
  }
}
