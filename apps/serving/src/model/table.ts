import type { ColumnType, InputColumn, ModelSignature } from "@espalier/core";
import { badRequest, shortened } from "../http/request-error.ts";
import { cellElements, show } from "./cells.ts";

/**
 * Checked rows of a request: row-major, columns in the signature's order. A cell is a boolean, a number (a bigint in a `long` column above
 * 53 bits), text, or for a column with a `shape` the flat row-major list of its elements; a missing value is NaN. `values` is a typed
 * array when a whole matrix came in binary form.
 */
export interface Table {
  rows: number;
  values: ArrayLike<unknown>;
}

type Check = (value: unknown) => boolean;

const checks: Record<ColumnType, { holds: Check; wants: string }> = {
  boolean: { holds: (value) => typeof value === "boolean", wants: "true or false" },
  integer: {
    holds: (value) => Number.isInteger(value) && (value as number) <= 0x7fffffff && (value as number) >= -0x80000000,
    wants: "a 32-bit integer",
  },
  long: {
    holds: (value) => Number.isSafeInteger(value) || (typeof value === "bigint" && BigInt.asIntN(64, value) === value),
    wants: "a 64-bit integer",
  },
  float: { holds: (value) => Number.isFinite(value), wants: "a number" },
  double: { holds: (value) => Number.isFinite(value), wants: "a number" },
  string: { holds: (value) => typeof value === "string", wants: "a string" },
  datetime: {
    holds: (value) => typeof value === "string" && !Number.isNaN(Date.parse(value)),
    wants: "an ISO 8601 date or time",
  },
};

function refuse(column: InputColumn, value: unknown, row: number): never {
  const place = `column "${column.name}", row ${row}`;
  if (value === null || value === undefined || Number.isNaN(value)) {
    throw badRequest(`${place}: a value is missing, and the model's signature does not allow that`, column.name);
  }
  throw badRequest(`${place}: expected ${checks[column.type].wants} (${column.type}), got ${show(value)}`, column.name);
}

/** A number of 64 bits is one of these when it has passed through JSON or a binary tensor exactly. */
function narrowed(column: InputColumn, value: unknown): unknown {
  if (typeof value !== "bigint") return value;
  if (column.type === "float" || column.type === "double") return Number(value);
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}

/** The value as the table keeps it. Errors: INVALID_INPUT naming column and row. */
function checkedValue(column: InputColumn, given: unknown, row: number): unknown {
  const value = narrowed(column, given);
  if (checks[column.type].holds(value)) return value;
  if (column.nullable === true && (value === null || Number.isNaN(value))) return Number.NaN;
  return refuse(column, value, row);
}

/** Checks every value against the signature, in place; an allowed null becomes NaN. Errors: INVALID_INPUT naming column and row. */
export function checkedTable(
  signature: ModelSignature,
  rows: number,
  values: unknown[] | Float32Array | Float64Array,
): Table {
  const { inputs } = signature;
  const width = inputs.length;
  if (rows === 0) throw badRequest("The request has no rows");
  for (let column = 0; column < width; column++) {
    const input = inputs[column] as InputColumn;
    const { holds } = checks[input.type];
    const { shape } = input;
    for (let row = 0, at = column; row < rows; row++, at += width) {
      const value = values[at];
      if (shape !== undefined) {
        (values as unknown[])[at] = checkedCell(input, cellElements(input.name, shape, value, row), row);
      } else if (!holds(value)) {
        const checked = checkedValue(input, value, row);
        if (Array.isArray(values)) values[at] = checked;
      }
    }
  }
  return { rows, values };
}

function checkedCell(column: InputColumn, elements: ArrayLike<unknown>, row: number): ArrayLike<unknown> {
  const { holds } = checks[column.type];
  let checked = elements;
  for (let index = 0; index < elements.length; index++) {
    if (holds(elements[index])) continue;
    const value = checkedValue(column, elements[index], row);
    // A typed array that holds NaN where it may, needs no change.
    if (typeof value === "number" && Number.isNaN(value) && ArrayBuffer.isView(elements)) continue;
    if (checked === elements) checked = Array.from(elements);
    (checked as unknown[])[index] = value;
  }
  return checked;
}

/** Rows given as lists in the signature's order. */
export function tableFromRows(signature: ModelSignature, rows: readonly unknown[]): Table {
  const width = signature.inputs.length;
  const values: unknown[] = [];
  rows.forEach((row, index) => {
    if (!Array.isArray(row)) throw badRequest(`row ${index}: expected a list of ${width} values, got ${show(row)}`);
    if (row.length !== width) {
      const missing = signature.inputs[row.length];
      throw badRequest(`row ${index}: expected ${width} values, got ${row.length}`, missing?.name);
    }
    for (const value of row) values.push(value);
  });
  return checkedTable(signature, rows.length, values);
}

/** Columns by name, in any order. Errors: INVALID_INPUT for unknown, missing and ragged columns. */
export function tableFromColumns(signature: ModelSignature, columns: ReadonlyMap<string, ArrayLike<unknown>>): Table {
  const { inputs } = signature;
  const width = inputs.length;
  const rows = columns.values().next().value?.length ?? 0;
  checkNames(signature, columns.keys());
  const values = emptyValues(signature, columns, rows);
  for (let column = 0; column < width; column++) {
    const { name } = inputs[column] as InputColumn;
    const given = columns.get(name);
    // A column that is missing was refused by its name.
    if (given === undefined) continue;
    if (given.length !== rows) {
      throw badRequest(`column "${name}" has ${given.length} rows where others have ${rows}`, name);
    }
    for (let row = 0; row < rows; row++) values[row * width + column] = given[row];
  }
  return checkedTable(signature, rows, values);
}

/** One typed array where every column came as one, since a list of boxed values costs several times as much. */
function emptyValues(
  { inputs }: ModelSignature,
  columns: ReadonlyMap<string, ArrayLike<unknown>>,
  rows: number,
): unknown[] | Float32Array | Float64Array {
  const isReal = inputs.every(({ type, shape }) => shape === undefined && (type === "float" || type === "double"));
  const given = isReal ? [...columns.values()] : [];
  if (given.length > 0 && given.every((column) => column instanceof Float32Array)) {
    return new Float32Array(rows * inputs.length);
  }
  if (given.length > 0 && given.every((column) => column instanceof Float32Array || column instanceof Float64Array)) {
    return new Float64Array(rows * inputs.length);
  }
  return new Array(rows * inputs.length);
}

/** Rows given as objects. Errors: INVALID_INPUT for unknown and missing columns. */
export function tableFromRecords(signature: ModelSignature, records: readonly unknown[]): Table {
  const { inputs } = signature;
  const values: unknown[] = [];
  records.forEach((record, index) => {
    if (typeof record !== "object" || record === null || Array.isArray(record)) {
      throw badRequest(`row ${index}: expected an object of columns, got ${show(record)}`);
    }
    const row = record as Record<string, unknown>;
    let found = 0;
    for (const { name } of inputs) {
      if (Object.hasOwn(row, name)) found++;
      values.push(row[name]);
    }
    if (found !== inputs.length || Object.keys(row).length !== inputs.length)
      checkNames(signature, Object.keys(row), index);
  });
  return checkedTable(signature, records.length, values);
}

function checkNames(signature: ModelSignature, names: Iterable<string>, row?: number): void {
  const given = new Set(names);
  const place = row === undefined ? "" : `row ${row}: `;
  const missing = signature.inputs.filter(({ name }) => !given.has(name)).map(({ name }) => name);
  for (const { name } of signature.inputs) given.delete(name);
  if (missing.length > 0) {
    const unknown = given.size > 0 ? `; unknown: ${quoted(given)}` : "";
    throw badRequest(`${place}missing column ${quoted(missing)}${unknown}`, missing[0]);
  }
  const [unknown] = given;
  if (unknown !== undefined) {
    const known = signature.inputs.map(({ name }) => name);
    throw badRequest(`${place}unknown column ${quoted(given)}; the model takes ${quoted(known)}`, unknown);
  }
}

function quoted(names: Iterable<string>): string {
  const all = [...names];
  const shown = all.slice(0, 10).map((name) => `"${shortened(name)}"`);
  return shown.join(", ") + (all.length > 10 ? ` and ${all.length - 10} more` : "");
}
