import { type CodedColumn, EspalierError, type ModelSignature, seededRandom, type Task } from "@espalier/core";
import { identifier } from "@espalier/quality";
import type { DuckDb } from "../duckdb-client.ts";
import type { OnnxModel } from "../onnx-client.ts";
import { ColumnCoder } from "./column-coder.ts";
import type { Column } from "./tables.ts";

const batchRows = 16_384;

export interface NamedModel {
  name: string;
  model: OnnxModel;
}

export interface ScoringRequest {
  models: readonly NamedModel[];
  target: string;
  task: Task;
  /** Column name, or SQL expression, of each coded column. */
  coded: readonly { column: string; sql: string; limit?: number }[];
  /** Rows whose features are kept, about, one of each stretch of the table; 0 for none. `seed` says which one. */
  sample?: { rows: number; seed: number };
  onProgress?: (rows: number) => void;
}

export interface ScoredTable {
  /** In the order of `models`. */
  scores: Float64Array[];
  target: Float64Array;
  coded: CodedColumn[];
  /** Features of the sampled rows for the first model, and their row numbers. */
  sample: { rows: number[]; columns: unknown[][] };
}

/** Streams the table `data` through all models at once: the same rows, one pass, memory for scores only. */
export async function scoreTable(database: DuckDb, request: ScoringRequest, rowCount: number): Promise<ScoredTable> {
  const features = [
    ...new Set(request.models.flatMap(({ model }) => model.signature.inputs.map((input) => input.name))),
  ];
  const select = [
    ...features.map((name, index) => `${identifier(name)} AS f${index}`),
    `CAST(${identifier(request.target)} AS DOUBLE) AS target`,
    ...request.coded.map(({ sql }, index) => `CAST(${sql} AS VARCHAR) AS c${index}`),
  ];
  const result: ScoredTable = {
    scores: request.models.map(() => new Float64Array(rowCount)),
    target: new Float64Array(rowCount),
    coded: [],
    sample: { rows: [], columns: [] },
  };
  const coders = request.coded.map(({ column, limit }) => new ColumnCoder(column, rowCount, limit));
  const { rows: sampleRows = 0, seed = 0 } = request.sample ?? {};
  const stride = sampleRows > 0 ? Math.max(1, Math.ceil(rowCount / sampleRows)) : 0;
  let done = 0;
  for await (const batch of largeBatches(database.batches(`SELECT ${select.join(", ")} FROM data`), select.length)) {
    const rows = batch[0]?.length ?? 0;
    const byName = new Map(features.map((name, index) => [name, batch[index] ?? []]));
    for (const [index, { model }] of request.models.entries()) {
      const columns = model.signature.inputs.map((input) => byName.get(input.name) ?? []);
      result.scores[index]?.set(await model.score(columns, rows), done);
      if (index === 0 && stride > 0) keepSample(result.sample, columns, { first: done, rows, stride, seed });
    }
    readTarget(batch[features.length] ?? [], result.target, done, request);
    for (const [index, coder] of coders.entries()) coder.add(batch[features.length + 1 + index] ?? [], done);
    done += rows;
    request.onProgress?.(done);
  }
  return { ...result, coded: coders.map((coder) => coder.finish()) };
}

/** One row of each stretch of `stride` rows, at a place of chance: at fixed distances a table with a rhythm would show one side of itself. */
function keepSample(
  sample: ScoredTable["sample"],
  columns: readonly (readonly unknown[])[],
  { first, rows, stride, seed }: { first: number; rows: number; stride: number; seed: number },
): void {
  for (let stretch = Math.floor(first / stride); stretch * stride < first + rows; stretch++) {
    const row = stretch * stride + seededRandom(Math.imul(seed, 0x9e3779b1) + stretch)(stride) - first;
    if (row < 0 || row >= rows) continue;
    sample.rows.push(first + row);
    for (const [index, values] of columns.entries()) {
      const kept = sample.columns[index] ?? [];
      kept.push(values[row]);
      sample.columns[index] = kept;
    }
  }
}

function readTarget(
  values: readonly unknown[],
  into: Float64Array,
  offset: number,
  { target, task }: Pick<ScoringRequest, "target" | "task">,
): void {
  for (const [index, value] of values.entries()) {
    const number = value === null ? Number.NaN : Number(value);
    if (!Number.isFinite(number) || (task === "binary" && number !== 0 && number !== 1)) {
      throw new EspalierError("INVALID_DATA", `The target \`${target}\` is ${value} in row ${offset + index + 1}`, {
        at: target,
        hint:
          task === "binary"
            ? "A binary target is true or false, 1 or 0; leave rows without a known outcome out of the data."
            : "Leave rows without a known outcome out of the data.",
      });
    }
    into[offset + index] = number;
  }
}

/** DuckDB streams 2,048 rows at a time; a call of the model costs less a row with more. */
async function* largeBatches(
  batches: AsyncIterable<Readonly<Record<string, readonly unknown[]>>>,
  width: number,
): AsyncIterable<unknown[][]> {
  let pending: unknown[][] = Array.from({ length: width }, () => []);
  for await (const batch of batches) {
    for (const [index, values] of Object.values(batch).entries()) {
      const column = pending[index];
      if (column !== undefined) for (const value of values) column.push(value);
    }
    if ((pending[0]?.length ?? 0) >= batchRows) {
      yield pending;
      pending = Array.from({ length: width }, () => []);
    }
  }
  if ((pending[0]?.length ?? 0) > 0) yield pending;
}

const numeric = /^(BOOLEAN|U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?|DOUBLE|FLOAT|DECIMAL.*)$/;

/** SIGNATURE_MISMATCH that names every column which is missing or of a type that the model does not take. */
export function checkSignature(signature: ModelSignature, columns: readonly Column[], name: string): void {
  const types = new Map(columns.map((column) => [column.name, column.type]));
  const faults = signature.inputs.flatMap((input) => {
    const type = types.get(input.name);
    if (type === undefined) return [`\`${input.name}\` is missing`];
    const fits = input.type === "string" ? /^(VARCHAR|ENUM.*|UUID)$/.test(type) : numeric.test(type);
    return fits ? [] : [`\`${input.name}\` is ${type}, the model takes ${input.type}`];
  });
  if (faults.length === 0) return;
  throw new EspalierError(
    "SIGNATURE_MISMATCH",
    `The data does not fit the signature of \`${name}\`: ${faults.join("; ")}`,
    {
      at: "inputs.data",
      hint: `The data's columns are: ${columns.map((column) => `${column.name} ${column.type}`).join(", ")}.`,
      details: { faults },
    },
  );
}
