import type { DuckDBConnection, DuckDBType } from "@duckdb/node-api";
import { EspalierError } from "@espalier/core";

export type NumberValues = Float32Array | Float64Array | BigInt64Array | Int32Array | Uint8Array;

/** A column of a chunk as DuckDB holds it: no value becomes an object. Valid until the next chunk is asked for. */
export interface TypedColumn {
  values: NumberValues | readonly (string | null)[];
  /** Absent: no value is null. What `values` holds at a null is undefined. */
  isMissing?: (row: number) => boolean;
}

export interface TypedChunk {
  rows: number;
  columns: TypedColumn[];
}

/** Columns of typed arrays, or of text, as they become a table. */
export interface NewColumn {
  name: string;
  values: NumberValues | readonly string[];
  /** Uint8Array only: its values are truth values. */
  isBoolean?: boolean;
}

/** What the vectors of numbers have in common; the library declares these members private, and its version is pinned. */
interface VectorInside {
  items?: unknown;
  validity?: { data: BigUint64Array | null; itemValid(row: number): boolean };
}

/**
 * Streams a query chunk by chunk (2,048 rows or fewer), one read ahead. Its columns must be FLOAT, DOUBLE, BIGINT, INTEGER, UTINYINT or
 * VARCHAR.
 */
export async function* readTypedChunks(connection: DuckDBConnection, sql: string): AsyncGenerator<TypedChunk> {
  const result = await connection.stream(sql);
  let next = result.fetchChunk();
  try {
    for (;;) {
      const chunk = await next;
      if (chunk === null || chunk.rowCount === 0) return;
      next = result.fetchChunk();
      const columns = Array.from({ length: chunk.columnCount }, (_, index) => {
        const vector = chunk.getColumnVector(index);
        const { items, validity } = vector as unknown as VectorInside;
        if (!isNumbers(items)) return { values: vector.toArray() as (string | null)[] };
        if (validity === undefined || validity.data === null) return { values: items };
        return { values: items, isMissing: (row: number) => !validity.itemValid(row) };
      });
      yield { rows: chunk.rowCount, columns };
    }
  } finally {
    // A reader that stops early leaves a chunk on its way: the connection is not free before, and its fault is nobody's.
    await next.catch(() => undefined);
  }
}

function isNumbers(items: unknown): items is NumberValues {
  return (
    items instanceof Float64Array ||
    items instanceof Float32Array ||
    items instanceof BigInt64Array ||
    items instanceof Int32Array ||
    items instanceof Uint8Array
  );
}

/** Makes the table `name` of these columns, in their order; all have `rows` values. */
export async function loadTypedColumns(
  connection: DuckDBConnection,
  name: string,
  columns: readonly NewColumn[],
  rows: number,
): Promise<void> {
  const { DuckDBDataChunk, DuckDBVector, BIGINT, BOOLEAN, DOUBLE, FLOAT, INTEGER, UTINYINT, VARCHAR } = await import(
    "@duckdb/node-api"
  );
  const typeOf = ({ values, isBoolean }: NewColumn): DuckDBType => {
    if (values instanceof Float32Array) return FLOAT;
    if (values instanceof Float64Array) return DOUBLE;
    if (values instanceof BigInt64Array) return BIGINT;
    if (values instanceof Int32Array) return INTEGER;
    if (values instanceof Uint8Array) return isBoolean === true ? BOOLEAN : UTINYINT;
    return VARCHAR;
  };
  const types = columns.map(typeOf);
  const declared = columns.map((column, index) => `"${column.name.replaceAll('"', '""')}" ${types[index]}`);
  await connection.run(`CREATE OR REPLACE TABLE "${name}" (${declared.join(", ")})`);
  const appender = await connection.createAppender(name);
  const chunkRows = DuckDBVector.standardSize();
  for (let from = 0; from < rows; from += chunkRows) {
    const size = Math.min(chunkRows, rows - from);
    const chunk = DuckDBDataChunk.create(types, size);
    for (const [index, { values, isBoolean }] of columns.entries()) {
      const vector = chunk.getColumnVector(index);
      const { items } = vector as unknown as VectorInside;
      if (isNumbers(values) && isNumbers(items)) {
        (items as Float64Array).set(values.subarray(from, from + size) as Float64Array);
      } else if (isNumbers(values) && isBoolean === true) {
        for (let row = 0; row < size; row++) vector.setItem(row, values[from + row] !== 0);
      } else if (isNumbers(values)) {
        throw new EspalierError("INTERNAL", `DuckDB holds no numbers of the column ${name}.${columns[index]?.name}`);
      } else {
        for (let row = 0; row < size; row++) vector.setItem(row, values[from + row] ?? null);
      }
      vector.flush();
    }
    appender.appendDataChunk(chunk);
  }
  appender.closeSync();
}
