import type { ModelSignature } from "@espalier/core";
import { badRequest } from "../http/request-error.ts";
import type { ModelOutput } from "../model/model.ts";
import { type Table, tableFromColumns, tableFromRecords, tableFromRows } from "../model/table.ts";
import { rowValues } from "./values.ts";

const formats = ["dataframe_split", "dataframe_records", "instances", "inputs"] as const;

/** MLflow's `/invocations` in JSON (also V1 and Vertex AI's `instances`). Errors: INVALID_INPUT naming the column. */
export function parseInvocation(body: unknown, signature: ModelSignature): Table {
  if (typeof body !== "object" || body === null || Array.isArray(body))
    throw badRequest("The body is not a JSON object");
  const given = body as Record<string, unknown>;
  const present = formats.filter((format) => given[format] !== undefined);
  const [format] = present;
  if (format === undefined || present.length > 1) {
    throw badRequest(`The body must hold exactly one of ${formats.join(", ")}`);
  }
  const { params } = given;
  if (typeof params === "object" && params !== null && Object.keys(params).length > 0) {
    throw badRequest(`This model takes no params, got ${Object.keys(params).join(", ")}`);
  }
  const value = given[format];
  if (format === "dataframe_split") return splitTable(value, signature);
  if (format === "inputs" && !Array.isArray(value)) return columnsTable(value, signature);
  if (!Array.isArray(value)) throw badRequest(`"${format}" must be a list`);
  if (format === "dataframe_records") return tableFromRecords(signature, value);
  return rowsTable(value, signature);
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
  const columns = Object.entries(value).map(([name, column]): [string, unknown[]] => [
    name,
    (Array.isArray(column) ? column : [column]).map((cell) =>
      Array.isArray(cell) && cell.length === 1 ? cell[0] : cell,
    ),
  ]);
  return tableFromColumns(signature, new Map(columns));
}

function rowsTable(rows: readonly unknown[], signature: ModelSignature): Table {
  const [first] = rows;
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
export function renderPredictions(outputs: readonly ModelOutput[], rows: number): string {
  const [only] = outputs;
  if (outputs.length === 1 && only !== undefined) return JSON.stringify({ predictions: rowValues(only, rows) });
  const columns = outputs.map((output) => [output.name, rowValues(output, rows)] as const);
  const predictions = Array.from({ length: rows }, (_, row) =>
    Object.fromEntries(columns.map(([name, values]) => [name, values[row]])),
  );
  return JSON.stringify({ predictions });
}
