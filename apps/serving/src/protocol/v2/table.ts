import { isUtf8 } from "node:buffer";
import type { InputColumn, ModelSignature } from "@espalier/core";
import { columnDatatype } from "@espalier/core";
import { badRequest, shortened } from "../../http/request-error.ts";
import { checkedTable, type Table, tableFromColumns } from "../../model/table.ts";
import { acceptedDatatypes, elementBytes, numericDatatypes } from "./datatypes.ts";
import { decodeRaw, type TensorData } from "./raw-tensor.ts";
import type { V2Tensor } from "./tensor.ts";

/**
 * The table of a request's tensors: one tensor a column under its name, or one matrix `[rows, columns]` under any other name with the
 * columns in the signature's order. Shared by HTTP and gRPC. Errors: INVALID_INPUT naming the tensor or column.
 */
export function tableFromTensors(tensors: readonly V2Tensor[], signature: ModelSignature): Table {
  const [only] = tensors;
  if (only === undefined) throw badRequest('"inputs" must be a list of tensors', "inputs");
  const isMatrix = tensors.length === 1 && only.shape.length === 2;
  const { byName } = columnsOf(signature);
  if (isMatrix && !byName.has(only.name)) return matrixTable(only, signature);
  const columns = new Map<string, TensorData>();
  for (const tensor of tensors) {
    const { name } = tensor;
    if (columns.has(name)) throw badRequest(`input "${shortened(name)}" is given twice`, name);
    const column = byName.get(name);
    // An unknown name is refused with the names that are known, when all are there.
    columns.set(name, column === undefined ? tensor.data : columnValues(column, tensor));
  }
  return tableFromColumns(signature, columns);
}

interface Columns {
  byName: ReadonlyMap<string, InputColumn>;
  /** The first column that a matrix of a datatype can not hold. */
  refused: Map<string, InputColumn | undefined>;
}

/** Looked up once a model and not once a request. */
const columnsBySignature = new WeakMap<ModelSignature, Columns>();

function columnsOf(signature: ModelSignature): Columns {
  let columns = columnsBySignature.get(signature);
  if (columns === undefined) {
    columns = { byName: new Map(signature.inputs.map((column) => [column.name, column])), refused: new Map() };
    columnsBySignature.set(signature, columns);
  }
  return columns;
}

/** One tensor has one datatype, so a matrix of numbers may hold all numeric columns; their values are checked one by one. */
function refusedColumn(signature: ModelSignature, datatype: string): InputColumn | undefined {
  const { refused } = columnsOf(signature);
  const isNumeric = numericDatatypes.includes(datatype);
  if (refused.has(datatype)) return refused.get(datatype);
  const column = signature.inputs.find(
    ({ type }) =>
      !acceptedDatatypes[type].includes(datatype) && !(isNumeric && numericDatatypes.includes(columnDatatype[type])),
  );
  // Callers may send any text as a datatype.
  if (isNumeric) refused.set(datatype, column);
  return column;
}

function columnValues(column: InputColumn, { name, shape, datatype, data }: V2Tensor): TensorData {
  if (!acceptedDatatypes[column.type].includes(datatype)) {
    throw badRequest(`column "${name}": expected ${columnDatatype[column.type]}, got ${datatype.slice(0, 20)}`, name);
  }
  const [rows = 0, ...tail] = shape;
  if (column.shape === undefined) {
    if (tail.length > 1 || (tail.length === 1 && tail[0] !== 1)) {
      throw badRequest(`column "${name}": expected shape [rows] or [rows, 1], got [${shape}]`, name);
    }
    return data;
  }
  if (tail.length !== column.shape.length || column.shape.some((size, index) => tail[index] !== size)) {
    throw badRequest(`column "${name}": expected shape [rows, ${column.shape}], got [${shape}]`, name);
  }
  return cellsOf(data, rows);
}

/** Typed arrays are cut without being copied. */
function cellsOf(data: TensorData, rows: number): TensorData[] {
  const size = rows === 0 ? 0 : data.length / rows;
  return Array.from({ length: rows }, (_, row) =>
    ArrayBuffer.isView(data)
      ? (data as Float32Array).subarray(row * size, (row + 1) * size)
      : (data as unknown[]).slice(row * size, (row + 1) * size),
  );
}

function matrixTable(tensor: V2Tensor, signature: ModelSignature): Table {
  const { name, shape, datatype, data } = tensor;
  const [rows = 0, width = 0] = shape;
  if (width !== signature.inputs.length) {
    const missing = signature.inputs[width]?.name;
    throw badRequest(
      `input "${shortened(name)}": expected shape [rows, ${signature.inputs.length}] (columns in the signature's order), got [${shape}]`,
      missing ?? name,
    );
  }
  const refused = refusedColumn(signature, datatype);
  if (refused !== undefined) {
    throw badRequest(
      `column "${refused.name}": expected ${columnDatatype[refused.type]}, got ${datatype.slice(0, 20)}`,
      refused.name,
    );
  }
  const isReal = data instanceof Float32Array || data instanceof Float64Array;
  return checkedTable(signature, rows, isReal || Array.isArray(data) ? data : Array.from(data));
}

/**
 * A body that is nothing but the elements of the one input: a model of one column, or of columns of one type as a matrix in the
 * signature's order. The rows follow from the length. Errors: INVALID_INPUT.
 */
export function tableFromRawBody(body: Buffer, signature: ModelSignature): Table {
  const { inputs } = signature;
  const [first] = inputs as [InputColumn, ...InputColumn[]];
  if (inputs.some(({ type, shape }) => type !== first.type || (shape !== undefined && inputs.length > 1))) {
    throw badRequest(
      "A body without an inference header is taken as the model's one input; this model has inputs of several types",
    );
  }
  const datatype = columnDatatype[first.type];
  const size = elementBytes[datatype];
  // BYTES elements have no fixed length: the whole body is the one element, as in Triton.
  if (size === undefined) {
    if (inputs.length > 1) throw badRequest("Several BYTES inputs need an inference header");
    if (!isUtf8(body)) throw badRequest(`input "${first.name}": the body is not UTF-8 text`, first.name);
    return tableFromTensors([{ name: first.name, shape: [1], datatype, data: [body.toString("utf8")] }], signature);
  }
  const tail = first.shape ?? (inputs.length > 1 ? [inputs.length] : []);
  const rowBytes = tail.reduce((product, next) => product * next, size);
  if (body.length === 0 || body.length % rowBytes !== 0) {
    throw badRequest(`The body has ${body.length} bytes, which is no whole number of rows of ${rowBytes} bytes`);
  }
  const rows = body.length / rowBytes;
  const data = decodeRaw(first.name, datatype, body, body.length / size);
  // A matrix has any name but a column's.
  const name = inputs.length > 1 ? "" : first.name;
  return tableFromTensors([{ name, shape: [rows, ...tail], datatype, data }], signature);
}
