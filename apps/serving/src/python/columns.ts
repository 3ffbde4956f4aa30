import { EspalierError, type InputColumn } from "@espalier/core";
import type { ModelOutput } from "../model/model.ts";
import type { Table } from "../model/table.ts";
import type { Frame } from "./frames.ts";

/** Rows of one or several requests, as a worker takes them. */
export interface EncodedColumns {
  rows: number;
  columns: Record<string, unknown>[];
  parts: Uint8Array[];
}

type Elements = Float32Array | Float64Array | BigInt64Array | Int32Array | Uint8Array;

/** Tables one behind the other as one set of columns. Text and times go as text: pandas makes of them what it makes of parsed JSON. */
export function encodeColumns(inputs: readonly InputColumn[], tables: readonly Table[]): EncodedColumns {
  const rows = tables.reduce((sum, table) => sum + table.rows, 0);
  const parts: Uint8Array[] = [];
  const columns = inputs.map((input, column) => {
    const cells = cellsOf(tables, column, inputs.length);
    const { name, type } = input;
    const described = { name, ...(input.shape === undefined ? {} : { shape: input.shape }) };
    if (type === "string" || type === "datetime") {
      return { ...described, type: "string", values: cells.map((cell) => (isMissing(cell) ? null : cell)) };
    }
    const { kind, elements } = numbers(type, cells);
    parts.push(new Uint8Array(elements.buffer));
    return { ...described, type: kind, count: elements.length, bytes: elements.byteLength };
  });
  return { rows, columns, parts };
}

/** One cell a row, or as many as the column's shape has, row by row. */
function cellsOf(tables: readonly Table[], column: number, width: number): unknown[] {
  const cells: unknown[] = [];
  for (const { rows, values } of tables) {
    for (let row = 0, at = column; row < rows; row++, at += width) {
      const cell = values[at];
      if (isList(cell)) for (let index = 0; index < cell.length; index++) cells.push(cell[index]);
      else cells.push(cell);
    }
  }
  return cells;
}

function isList(cell: unknown): cell is ArrayLike<unknown> {
  return Array.isArray(cell) || ArrayBuffer.isView(cell);
}

function isMissing(cell: unknown): boolean {
  return cell === null || cell === undefined || Number.isNaN(cell);
}

function numbers(type: InputColumn["type"], cells: readonly unknown[]): { kind: string; elements: Elements } {
  switch (type) {
    case "boolean":
      return { kind: "bool", elements: Uint8Array.from(cells, (cell) => (cell === true || cell === 1 ? 1 : 0)) };
    case "integer":
      return { kind: "int32", elements: Int32Array.from(cells, Number) };
    case "long":
      return { kind: "int64", elements: BigInt64Array.from(cells, (cell) => BigInt(cell as number | bigint)) };
    case "float":
      return { kind: "float32", elements: Float32Array.from(cells, number) };
    default:
      return { kind: "float64", elements: Float64Array.from(cells, number) };
  }
}

const number = (cell: unknown): number => (isMissing(cell) ? Number.NaN : Number(cell));

interface DescribedOutput {
  name: string;
  type: string;
  tail: number[];
  bytes?: number;
  values?: (string | null)[];
  json?: boolean;
}

const readers: Readonly<Record<string, (buffer: ArrayBuffer) => Elements>> = {
  float32: (buffer) => new Float32Array(buffer),
  float64: (buffer) => new Float64Array(buffer),
  int64: (buffer) => new BigInt64Array(buffer),
  int32: (buffer) => new Int32Array(buffer),
  bool: (buffer) => new Uint8Array(buffer),
};

/** The outputs of an answer. Errors: CORRUPTED for what is no answer. */
export function decodeOutputs({ header, body }: Frame): ModelOutput[] {
  const { outputs, form } = header as { outputs?: DescribedOutput[]; form?: ModelOutput["form"] };
  if (!Array.isArray(outputs)) throw new EspalierError("CORRUPTED", "The Python worker answered no outputs");
  let at = 0;
  return outputs.map(({ name, type, tail, bytes, values, json }) => {
    const described = {
      name,
      type,
      tail,
      ...(form === undefined ? {} : { form }),
      ...(json === true ? { isJson: true } : {}),
    };
    // Text that is missing is null, which JSON has and a list of texts may hold.
    if (values !== undefined) return { ...described, data: values as string[] };
    const read = readers[type];
    const end = at + (bytes ?? 0);
    if (read === undefined || end > body.length) {
      throw new EspalierError("CORRUPTED", `The Python worker's output "${name}" can not be read`);
    }
    // A copy, aligned, that does not hold the whole frame in memory.
    const buffer = new ArrayBuffer(end - at);
    new Uint8Array(buffer).set(body.subarray(at, end));
    at = end;
    return { ...described, data: read(buffer) };
  });
}
