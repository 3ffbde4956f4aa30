import type { ModelSignature } from "@espalier/core";
import { badRequest } from "../http/request-error.ts";
import { show } from "../model/cells.ts";
import type { LoadedModel, ModelOutput } from "../model/model.ts";
import { type Table, tableFromColumns, tableFromRecords, tableFromRows } from "../model/table.ts";
import { rowValues } from "./values.ts";

export const formats = ["dataframe_split", "dataframe_records", "instances", "inputs"] as const;

/** Keys with which MLflow tells bodies of language models. */
const languageModelKeys = ["messages", "prompt", "input"];

type Params = Readonly<Record<string, unknown>>;
export interface Invocation {
  table: Table;
  params?: Params;
}

/** MLflow's `/invocations` in JSON. Errors: INVALID_INPUT naming the column. */
export function parseInvocation(
  body: unknown,
  model: Pick<LoadedModel, "signature" | "takesParams">,
  paramsKey: "params" | "parameters" = "params",
): Invocation {
  if (typeof body !== "object" || body === null || Array.isArray(body)) {
    throw badRequest(`The body must be a JSON object with exactly one of ${formats.join(", ")}, got ${show(body)}`);
  }
  const given = body as Record<string, unknown>;
  const present = formats.filter((format) => given[format] !== undefined);
  const [format] = present;
  if (format === undefined || present.length > 1) {
    const forChat = languageModelKeys.find((key) => Object.hasOwn(given, key));
    const hint = format === undefined && forChat !== undefined ? `; "${forChat}" is for language models` : "";
    throw badRequest(`The body must hold exactly one of ${formats.join(", ")}${hint}`);
  }
  const params = checkedParams(given[paramsKey], paramsKey, model);
  const { signature } = model;
  return { table: tableOf(format, given[format], signature), ...(params === undefined ? {} : { params }) };
}

/** Errors: INVALID_INPUT naming the column. */
export function tableOf(format: (typeof formats)[number], value: unknown, signature: ModelSignature): Table {
  if (format === "dataframe_split") return splitTable(value, signature);
  if (format === "inputs" && !Array.isArray(value)) return columnsTable(value, signature);
  if (!Array.isArray(value)) throw badRequest(`"${format}" must be a list`);
  if (format === "dataframe_records") return tableFromRecords(signature, value);
  return instancesTable(value, signature);
}

/** Parameters of a request for a model that takes some. Errors: INVALID_INPUT. */
export function checkedParams(
  params: unknown,
  key: string,
  model: Pick<LoadedModel, "takesParams">,
): Params | undefined {
  if (params === undefined || params === null) return undefined;
  if (typeof params !== "object" || Array.isArray(params)) throw badRequest(`"${key}" must be an object`);
  const names = Object.keys(params);
  if (names.length === 0) return undefined;
  if (model.takesParams !== true) {
    throw badRequest(`This model takes no ${key}, got ${names.slice(0, 10).map(show).join(", ")}`);
  }
  for (const [name, value] of Object.entries(params)) {
    const values = Array.isArray(value) ? value : [value];
    if (values.some((one) => typeof one === "object" && one !== null)) {
      throw badRequest(`The parameter ${show(name)} must be a value or a list of values`);
    }
  }
  return params as Params;
}

function splitTable(value: unknown, signature: ModelSignature): Table {
  const { columns, data } = (value ?? {}) as { columns?: unknown; data?: unknown };
  if (!Array.isArray(data)) throw badRequest('"dataframe_split" needs "data", a list of rows');
  if (columns === undefined) return tableFromRows(signature, data);
  if (!Array.isArray(columns) || !columns.every((name) => typeof name === "string")) {
    throw badRequest('"dataframe_split" needs "columns", a list of names');
  }
  const inOrder =
    columns.length === signature.inputs.length && signature.inputs.every(({ name }, index) => columns[index] === name);
  if (inOrder) return tableFromRows(signature, data);
  const lists = new Map<string, unknown[]>(columns.map((name) => [name, []]));
  if (lists.size !== columns.length) throw badRequest("A column is given twice");
  data.forEach((row, index) => {
    if (!Array.isArray(row) || row.length !== columns.length) {
      throw badRequest(
        `row ${index}: expected ${columns.length} values, got ${Array.isArray(row) ? row.length : "no list"}`,
      );
    }
    columns.forEach((name, column) => {
      lists.get(name)?.push(row[column]);
    });
  });
  return tableFromColumns(signature, lists);
}

function columnsTable(value: unknown, signature: ModelSignature): Table {
  if (typeof value !== "object" || value === null)
    throw badRequest('"inputs" must be a list of rows or an object of columns');
  const columns = Object.entries(value).map(([name, column]): [string, unknown[]] => {
    const cells = Array.isArray(column) ? column : [column];
    const isTensor = signature.inputs.some((input) => input.name === name && input.shape !== undefined);
    if (isTensor) return [name, cells];
    return [name, cells.map((cell) => (Array.isArray(cell) && cell.length === 1 ? cell[0] : cell))];
  });
  return tableFromColumns(signature, new Map(columns));
}

/** Rows given as lists or objects, or as bare values where there is one column. */
export function instancesTable(rows: readonly unknown[], signature: ModelSignature): Table {
  const [first] = rows;
  const [only, ...others] = signature.inputs;
  // Of a model of one tensor, each instance is a row's tensor.
  if (only?.shape !== undefined && others.length === 0 && Array.isArray(first)) {
    return tableFromRows(
      signature,
      rows.map((cell) => [cell]),
    );
  }
  if (rows.length === 0 || Array.isArray(first)) return tableFromRows(signature, rows);
  if (typeof first === "object" && first !== null) return tableFromRecords(signature, rows);
  if (signature.inputs.length === 1)
    return tableFromRows(
      signature,
      rows.map((value) => [value]),
    );
  throw badRequest(
    `row 0: expected a list or an object of ${signature.inputs.length} columns`,
    signature.inputs[0]?.name,
  );
}

/** One scalar output: a list of values; else a list of objects by output name, as MLflow's ONNX flavour answers a data frame. */
export function renderPredictions(outputs: readonly ModelOutput[], rows: number, key = "predictions"): string {
  return JSON.stringify({ [key]: predictionsOf(outputs, rows) });
}

/** What stands behind `predictions`. */
export function predictionsOf(outputs: readonly ModelOutput[], rows: number): unknown {
  const [only] = outputs;
  const form = only?.form ?? (outputs.length === 1 ? "values" : "records");
  if (form === "values" && only !== undefined) return valuesOf(only, rows);
  const columns = outputs.map((output) => [output.name, valuesOf(output, rows)] as const);
  if (form === "columns") return Object.fromEntries(columns);
  return Array.from({ length: rows }, (_, row) =>
    Object.fromEntries(columns.map(([name, values]) => [name, values[row]])),
  );
}

function valuesOf(output: ModelOutput, rows: number): unknown[] {
  const values = rowValues(output, rows);
  return output.isJson === true ? values.map((text) => JSON.parse(text as string)) : values;
}
