import type { ColumnType, ModelSignature } from "@espalier/core";
import { badRequest } from "../http/request-error.ts";
import type { ModelOutput } from "../model/model.ts";
import { checkedTable, type Table, tableFromColumns } from "../model/table.ts";
import { flatValues } from "./values.ts";

/** Open Inference Protocol V2, JSON form (kserve/open-inference-protocol). */

const columnDatatype: Record<ColumnType, string> = {
  boolean: "BOOL",
  integer: "INT32",
  long: "INT64",
  float: "FP32",
  double: "FP64",
  string: "BYTES",
  datetime: "BYTES",
};

const integers = ["INT8", "INT16", "INT32", "INT64", "UINT8", "UINT16", "UINT32", "UINT64"];
const numbers = [...integers, "FP16", "FP32", "FP64"];
const acceptedDatatypes: Record<ColumnType, readonly string[]> = {
  boolean: ["BOOL"],
  integer: integers,
  long: integers,
  float: numbers,
  double: numbers,
  string: ["BYTES"],
  datetime: ["BYTES"],
};

const tensorDatatype: Record<string, string> = {
  float32: "FP32",
  float64: "FP64",
  int64: "INT64",
  int32: "INT32",
  bool: "BOOL",
  string: "BYTES",
};

export interface V2Request {
  id?: string;
  table: Table;
  /** Names of the wanted outputs; all when absent. */
  outputs?: string[];
}

interface V2Tensor {
  name: string;
  shape: number[];
  datatype: string;
  data: unknown[];
}

/** True for a body whose `inputs` are V2 tensors, since MLflow's `inputs` has the same name. */
export function looksLikeV2(body: unknown): boolean {
  const inputs = (body as { inputs?: unknown } | null)?.inputs;
  return (
    Array.isArray(inputs) &&
    inputs.length > 0 &&
    inputs.every((input) => typeof input === "object" && input !== null && "datatype" in input && "shape" in input)
  );
}

/** Errors: INVALID_INPUT naming the tensor or column. */
export function parseV2(body: unknown, signature: ModelSignature): V2Request {
  if (typeof body !== "object" || body === null) throw badRequest("The body is not a JSON object");
  const { id, inputs, outputs } = body as { id?: unknown; inputs?: unknown; outputs?: unknown };
  if (id !== undefined && typeof id !== "string") throw badRequest('"id" must be a string');
  if (!Array.isArray(inputs) || inputs.length === 0) throw badRequest('"inputs" must be a list of tensors', "inputs");
  const tensors = inputs.map(parseTensor);
  const wanted = parseOutputs(outputs, signature);
  return {
    ...(id === undefined || id === "" ? {} : { id }),
    table: tensorTable(tensors, signature),
    ...(wanted === undefined ? {} : { outputs: wanted }),
  };
}

function parseTensor(input: unknown, index: number): V2Tensor {
  if (typeof input !== "object" || input === null) throw badRequest(`inputs[${index}] is not an object`);
  const { name, shape, datatype, data, parameters } = input as Record<string, unknown>;
  if (typeof name !== "string") throw badRequest(`inputs[${index}] has no "name"`);
  const isSize = (size: unknown) => Number.isInteger(size) && (size as number) >= 0;
  if (!Array.isArray(shape) || shape.length === 0 || !shape.every(isSize)) {
    throw badRequest(`input "${name}": "shape" must be a list of sizes`, name);
  }
  if (typeof datatype !== "string") throw badRequest(`input "${name}" has no "datatype"`, name);
  if (data === undefined && parameters !== undefined) {
    throw badRequest(`input "${name}": binary tensors are not supported; send "data" as JSON`, name);
  }
  if (!Array.isArray(data)) throw badRequest(`input "${name}": "data" must be a list`, name);
  const flat = Array.isArray(data[0]) ? flatten(data, shape, name) : data;
  const size = shape.reduce((product: number, next: number) => product * next, 1);
  if (flat.length !== size) {
    throw badRequest(`input "${name}": shape [${shape}] needs ${size} values, got ${flat.length}`, name);
  }
  return { name, shape, datatype, data: flat };
}

/** Nested data must be nested exactly by its shape; a ragged row is named by its place. */
function flatten(data: unknown[], shape: readonly number[], name: string): unknown[] {
  let level = data;
  shape.slice(1).forEach((size, depth) => {
    const next: unknown[] = [];
    level.forEach((part, index) => {
      if (!Array.isArray(part) || part.length !== size) {
        const got = Array.isArray(part) ? `${part.length} values` : "no list";
        throw badRequest(
          `input "${name}": dimension ${depth + 1}, row ${index}: expected ${size} values, got ${got}`,
          name,
        );
      }
      for (const value of part) next.push(value);
    });
    level = next;
  });
  return level;
}

function tensorTable(tensors: readonly V2Tensor[], signature: ModelSignature): Table {
  const [only] = tensors;
  const isMatrix = only !== undefined && tensors.length === 1 && only.shape.length === 2;
  if (isMatrix && !signature.inputs.some(({ name }) => name === only.name)) return matrixTable(only, signature);
  const columns = new Map<string, unknown[]>();
  for (const tensor of tensors) {
    const { name, shape, datatype, data } = tensor;
    if (columns.has(name)) throw badRequest(`input "${name}" is given twice`, name);
    const column = signature.inputs.find((input) => input.name === name);
    if (column !== undefined && !acceptedDatatypes[column.type].includes(datatype)) {
      throw badRequest(`column "${name}": expected ${columnDatatype[column.type]}, got ${datatype}`, name);
    }
    if (shape.length > 2 || (shape.length === 2 && shape[1] !== 1)) {
      throw badRequest(`column "${name}": expected shape [rows] or [rows, 1], got [${shape}]`, name);
    }
    columns.set(name, data);
  }
  return tableFromColumns(signature, columns);
}

function matrixTable(tensor: V2Tensor, signature: ModelSignature): Table {
  const { name, shape, datatype, data } = tensor;
  const [rows = 0, width = 0] = shape;
  if (width !== signature.inputs.length) {
    const missing = signature.inputs[width]?.name;
    throw badRequest(
      `input "${name}": expected shape [rows, ${signature.inputs.length}] (columns in the signature's order), got [${shape}]`,
      missing ?? name,
    );
  }
  const refused = signature.inputs.find((column) => !acceptedDatatypes[column.type].includes(datatype));
  // One tensor has one datatype, so a matrix of floats may hold the integer columns; their values are checked one by one.
  if (refused !== undefined && !(numbers.includes(datatype) && numbers.includes(columnDatatype[refused.type]))) {
    throw badRequest(
      `column "${refused.name}": expected ${columnDatatype[refused.type]}, got ${datatype}`,
      refused.name,
    );
  }
  return checkedTable(signature, rows, data);
}

function parseOutputs(outputs: unknown, signature: ModelSignature): string[] | undefined {
  if (outputs === undefined) return undefined;
  if (!Array.isArray(outputs)) throw badRequest('"outputs" must be a list');
  if (outputs.length === 0) return undefined;
  return outputs.map((output: { name?: unknown } | null) => {
    const known = signature.outputs.find(({ name }) => name === output?.name);
    if (known === undefined) {
      const names = signature.outputs.map(({ name }) => name).join(", ");
      throw badRequest(`unknown output "${output?.name}"; the model has ${names}`);
    }
    return known.name;
  });
}

export function renderV2(
  request: V2Request,
  id: string,
  model: { name: string; version: string },
  outputs: readonly ModelOutput[],
): string {
  const wanted = outputs.filter(({ name }) => request.outputs?.includes(name) ?? true);
  return JSON.stringify({
    model_name: model.name,
    model_version: model.version,
    id,
    outputs: wanted.map((output) => ({
      name: output.name,
      datatype: tensorDatatype[output.type] ?? "FP32",
      shape: [request.table.rows, ...output.tail],
      data: flatValues(output),
    })),
  });
}

/** Metadata of the server, and of a model: one input a column, in the signature's order. */
export function v2ServerMetadata(): string {
  return JSON.stringify({ name: "espalier", version: "0.1.0", extensions: [] });
}

export function v2ModelMetadata(model: { name: string; version: string; signature: ModelSignature }): string {
  return JSON.stringify({
    name: model.name,
    versions: [model.version],
    platform: "onnxruntime_onnx",
    inputs: model.signature.inputs.map(({ name, type }) => ({ name, datatype: columnDatatype[type], shape: [-1] })),
    outputs: model.signature.outputs.map(({ name, type, shape }) => ({
      name,
      datatype: columnDatatype[type],
      shape: [-1, ...(shape ?? [])],
    })),
  });
}
