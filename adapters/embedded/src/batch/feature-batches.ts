import { identifier, literal } from "@espalier/quality";
import type { DuckDb } from "../duckdb-client.ts";
import type { TypedChunk } from "../duckdb-columns-client.ts";
import type { Feed, FeedType, GraphFeed } from "../onnx-session-client.ts";
import type { FeedLayout } from "./feed-layout.ts";
import { fillFeed } from "./fill-feed.ts";
import type { SourceColumn } from "./source-column.ts";
import type { Unit } from "./units.ts";

export interface BadRow {
  /** Of the file, from 0. */
  row: number;
  /** Absent: the model itself fails on the row. */
  column?: string;
  reason: string;
}

export interface FeatureBatch {
  unit: Unit;
  /** The first row, of the file, from 0. */
  first: number;
  rows: number;
  feeds: GraphFeed[];
  /** By row; the first fault of each. */
  bad: BadRow[];
}

export interface FeatureQuery {
  /** A Parquet file. */
  path: string;
  layout: readonly FeedLayout[];
  columns: readonly SourceColumn[];
  /** Of this file, one after the other. */
  units: readonly Unit[];
  batchRows: number;
}

/** Column of converted text files: 1 + the index of the first model column that could not be read, 0 for none. */
export const unreadableColumn = "_espalier_unreadable";

/** Streams a file's rows as tensors, in order. A batch never reaches over the end of a unit, so that it is the same after a resumption. */
export async function* featureBatches(
  database: DuckDb,
  { path, layout, columns, units, batchRows }: FeatureQuery,
  isConverted: boolean,
): AsyncGenerator<FeatureBatch> {
  const [first] = units;
  if (first === undefined) return;
  const select = columns.map(({ sql }) => sql);
  if (isConverted) select.push(identifier(unreadableColumn));
  const where = first.from === 0 ? "" : ` WHERE file_row_number >= ${first.from}`;
  const query = `SELECT ${select.join(", ")} FROM read_parquet(${literal(path)}, file_row_number = true)${where}`;
  const waiting = [...units];
  let batch: OpenBatch | undefined;
  let row = first.from;
  for await (const chunk of database.chunks(query)) {
    for (let from = 0; from < chunk.rows; ) {
      if (batch === undefined) {
        while (waiting[0] !== undefined && waiting[0].to <= row) waiting.shift();
        const [unit] = waiting;
        if (unit === undefined) return;
        batch = new OpenBatch(unit, row, Math.min(batchRows, unit.to - row), layout, columns);
      }
      const taken = batch.take(chunk, from);
      from += taken;
      row += taken;
      if (batch.isFull) {
        yield batch.finish();
        batch = undefined;
      }
    }
  }
}

class OpenBatch {
  readonly #unit: Unit;
  readonly #first: number;
  readonly #rows: number;
  readonly #layout: readonly FeedLayout[];
  readonly #columns: readonly SourceColumn[];
  readonly #feeds: Feed[];
  readonly #bad = new Map<number, BadRow>();
  #filled = 0;

  constructor(
    unit: Unit,
    first: number,
    rows: number,
    layout: readonly FeedLayout[],
    columns: readonly SourceColumn[],
  ) {
    this.#unit = unit;
    this.#first = first;
    this.#rows = rows;
    this.#layout = layout;
    this.#columns = columns;
    this.#feeds = layout.map(({ type, columns: own }) => emptyFeed(type, rows * own.length));
  }

  get isFull(): boolean {
    return this.#filled === this.#rows;
  }

  /** Returns how many rows of the chunk, from `from` on, fitted in. */
  take(chunk: TypedChunk, from: number): number {
    const taken = Math.min(chunk.rows - from, this.#rows - this.#filled);
    const to = from + taken;
    const base = this.#first + this.#filled - from;
    for (const [index, { columns: own }] of this.#layout.entries()) {
      const feed = this.#feeds[index] as Feed;
      for (const [at, column] of own.entries()) {
        const source = this.#columns[column] as SourceColumn;
        const values = chunk.columns[column] as TypedChunk["columns"][number];
        const start = this.#filled * own.length + at;
        fillFeed(feed, values, source, { from, to, start, stride: own.length }, (row, reason) =>
          this.#report({ row: base + row, column: source.name, reason }),
        );
      }
    }
    const unreadable = chunk.columns[this.#columns.length]?.values;
    if (unreadable !== undefined) {
      for (let row = from; row < to; row++) {
        const column = this.#columns[Number(unreadable[row]) - 1];
        if (column === undefined) continue;
        this.#bad.set(base + row, { row: base + row, column: column.name, reason: "is no number" });
      }
    }
    this.#filled += taken;
    return taken;
  }

  finish(): FeatureBatch {
    const feeds = this.#layout.map(({ name, type, tail }, index) => ({
      name,
      type,
      tail,
      data: this.#feeds[index] as Feed,
    }));
    const bad = [...this.#bad.values()].sort((a, b) => a.row - b.row);
    return { unit: this.#unit, first: this.#first, rows: this.#rows, feeds, bad };
  }

  #report(bad: BadRow): void {
    if (!this.#bad.has(bad.row)) this.#bad.set(bad.row, bad);
  }
}

export function emptyFeed(type: FeedType, length: number): Feed {
  switch (type) {
    case "float32":
      return new Float32Array(length);
    case "float64":
      return new Float64Array(length);
    case "int64":
      return new BigInt64Array(length);
    case "int32":
      return new Int32Array(length);
    case "bool":
      return new Uint8Array(length);
    case "string":
      return new Array<string>(length).fill("");
  }
}
