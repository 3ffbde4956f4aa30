import { EspalierError } from "@espalier/core";
import type { NewColumn, NumberValues } from "../duckdb-columns-client.ts";
import type { Feed, GraphOutput } from "../onnx-session-client.ts";
import { type BadRow, emptyFeed, type FeatureBatch } from "./feature-batches.ts";
import type { OutputColumn } from "./output-columns.ts";
import type { ScoringReply } from "./scoring-message.ts";
import type { Unit } from "./units.ts";

/** Gathers the scores of one unit as its batches come back, in any order. */
export class UnitScores {
  readonly unit: Unit;
  readonly #columns: readonly OutputColumn[];
  /** Arrays of each output column by its place among the output's values; made when the first batch shows their type and width. */
  readonly #values: Feed[][] = [];
  readonly #bad: BadRow[] = [];
  readonly #arrivals: Promise<void>[] = [];

  constructor(unit: Unit, columns: readonly OutputColumn[]) {
    this.unit = unit;
    this.#columns = columns;
  }

  get rows(): number {
    return this.unit.to - this.unit.from;
  }

  expect(batch: FeatureBatch, reply: Promise<ScoringReply>): void {
    const { first, bad } = batch;
    const arrival = reply.then((scored) => this.#take(first, bad, scored));
    // The first failure is met by `settle`; until then it must not end the process.
    arrival.catch(() => undefined);
    this.#arrivals.push(arrival);
  }

  /** Waits for all batches. The rows that were set aside, in order. */
  async settle(): Promise<BadRow[]> {
    await Promise.all(this.#arrivals);
    return this.#bad.sort((a, b) => a.row - b.row);
  }

  /** The columns for the writer; `ok` is false for rows that are set aside. Text and numbers of theirs mean nothing. */
  table(): NewColumn[] {
    const ok = new Uint8Array(this.rows).fill(1);
    for (const { row } of this.#bad) ok[row - this.unit.from] = 0;
    const columns = this.#columns.flatMap(({ name, type, width }, index): NewColumn[] => {
      const arrays = this.#values[index] ?? Array.from({ length: width }, () => emptyFeed(type, this.rows));
      return arrays.map((values, at) => ({
        name: arrays.length === 1 ? name : `${name}_${at}`,
        values: values as NumberValues | string[],
        isBoolean: values instanceof Uint8Array,
      }));
    });
    return [...columns, { name: okColumn, values: ok, isBoolean: true }];
  }

  /** false: no row has come back with values. */
  get hasValues(): boolean {
    return this.#values.length > 0;
  }

  /** Rows whose score is NaN or infinite, and that are not set aside. */
  notFinite(): number {
    const [scores] = this.#values[0] ?? [];
    if (!(scores instanceof Float32Array || scores instanceof Float64Array)) return 0;
    const aside = new Set(this.#bad.map(({ row }) => row - this.unit.from));
    let count = 0;
    for (let row = 0; row < scores.length; row++) {
      if (!Number.isFinite(scores[row]) && !aside.has(row)) count += 1;
    }
    return count;
  }

  #take(first: number, bad: readonly BadRow[], { parts, failed }: ScoringReply): void {
    for (const part of parts) {
      for (const [index, column] of this.#columns.entries()) {
        const output = part.outputs.find(({ name }) => name === column.output);
        if (output === undefined) throw noOutput(column, part.outputs);
        this.#copy(index, column, output, first + part.first - this.unit.from, part.rows);
      }
    }
    const told = new Set(bad.map(({ row }) => row));
    this.#bad.push(...bad);
    for (const { row, message } of failed) {
      if (told.has(first + row)) continue;
      this.#bad.push({ row: first + row, reason: `makes the model fail: ${message}` });
    }
  }

  #copy(index: number, column: OutputColumn, output: GraphOutput, at: number, rows: number): void {
    const width = output.data.length / rows;
    if (!Number.isInteger(width) || width === 0) {
      throw new EspalierError(
        "SIGNATURE_MISMATCH",
        `The model's output \`${output.name}\` has ${output.data.length} values for ${rows} rows`,
        { at: output.name },
      );
    }
    const wanted =
      column.index === undefined ? Array.from({ length: width }, (_, place) => place) : [place(column.index, width)];
    const arrays = this.#values[index] ?? wanted.map(() => emptyLike(output.data, this.rows));
    this.#values[index] = arrays;
    if (arrays.length !== wanted.length) {
      throw new EspalierError("SIGNATURE_MISMATCH", `The model's output \`${output.name}\` changes its width`, {
        at: output.name,
      });
    }
    for (const [to, place] of wanted.entries()) copyStrided(output.data, place, width, arrays[to] as Feed, at, rows);
  }
}

function noOutput({ output }: OutputColumn, outputs: readonly GraphOutput[]): EspalierError {
  return new EspalierError("SIGNATURE_MISMATCH", `The model answers nothing named \`${output}\``, {
    at: output,
    hint: `It answers: ${outputs.map(({ name }) => name).join(", ")}.`,
  });
}

/** Column of the table of scores that says whether a row goes to the predictions. */
export const okColumn = "_espalier_ok";

const place = (index: number | "last", width: number): number => (index === "last" ? width - 1 : index);

function copyStrided(from: Feed, first: number, width: number, to: Feed, at: number, rows: number): void {
  if (width === 1 && !Array.isArray(from)) {
    (to as Float32Array).set(from as Float32Array, at);
    return;
  }
  for (let row = 0; row < rows; row++) to[at + row] = from[row * width + first] as never;
}

function emptyLike(data: Feed, length: number): Feed {
  if (Array.isArray(data)) return new Array<string>(length).fill("");
  return new (data.constructor as new (length: number) => Float32Array)(length);
}
