import { columnTypeSchema, EspalierError, type InputColumn, type ModelSignature } from "@espalier/core";
import { z } from "zod";

/** What a Python model takes, in the trunk's words. */
export interface PythonInputs {
  columns: InputColumn[];
  /** The columns are one unnamed tensor `[rows, columns]`. */
  isMatrix: boolean;
}

const tensorSchema = z.looseObject({
  type: z.literal("tensor"),
  name: z.string().nullish(),
  "tensor-spec": z.looseObject({ dtype: z.string(), shape: z.array(z.int()) }),
});
const columnSchema = z.looseObject({
  type: z.unknown(),
  name: z.string().nullish(),
  required: z.boolean().optional(),
});

/** NumPy's element types as column types; the worker casts to the signature's own. */
const tensorTypes: Readonly<Record<string, InputColumn["type"]>> = {
  bool: "boolean",
  int8: "integer",
  int16: "integer",
  int32: "integer",
  uint8: "integer",
  uint16: "integer",
  uint32: "long",
  int64: "long",
  uint64: "long",
  float16: "float",
  float32: "float",
  float64: "double",
  str: "string",
  object: "string",
};

/** More columns than this are no matrix that anyone names column by column. */
const widestMatrix = 4096;

/**
 * The inputs of MLflow's signature (a JSON list of columns or tensors). undefined: there is none, or one that is no table of plain values
 * (arrays of any length, objects, bytes), which only MLflow's own parser understands. Errors: INVALID_DATA.
 */
export function pythonInputs(text: string | null | undefined, at: string): PythonInputs | undefined {
  if (!text) return undefined;
  const list = parseList(text, at, "inputs");
  const tensors = z.array(tensorSchema).min(1).safeParse(list);
  if (tensors.success) return tensorInputs(tensors.data);
  const columns = z.array(columnSchema).safeParse(list);
  if (!columns.success || columns.data.length === 0) return undefined;
  const converted: InputColumn[] = [];
  for (const [index, column] of columns.data.entries()) {
    const type = columnTypeSchema.safeParse(column.type);
    if (!type.success) return undefined;
    // As MLflow: a missing integer or boolean is refused by its own check, whatever the signature says.
    const canBeNull = column.required === false && !["integer", "long", "boolean"].includes(type.data);
    converted.push({ name: column.name ?? String(index), type: type.data, ...(canBeNull ? { nullable: true } : {}) });
  }
  return { columns: converted, isMatrix: false };
}

function tensorInputs(tensors: z.infer<typeof tensorSchema>[]): PythonInputs | undefined {
  const columns: InputColumn[] = [];
  for (const [index, tensor] of tensors.entries()) {
    const { dtype, shape } = tensor["tensor-spec"];
    const type = tensorTypes[dtype];
    const tail = shape.slice(1);
    if (type === undefined || shape.length === 0 || tail.some((size) => size < 1)) return undefined;
    // Models that are fitted on arrays take NaN where they take floats.
    const nullable = type === "float" || type === "double" ? { nullable: true } : {};
    const width = tail[0] ?? 1;
    if (tensors.length === 1 && !tensor.name && tail.length <= 1 && width <= widestMatrix) {
      const matrix = Array.from({ length: width }, (_, column) => ({ name: String(column), type, ...nullable }));
      return { columns: matrix, isMatrix: true };
    }
    columns.push({
      name: tensor.name || `input-${index}`,
      type,
      ...nullable,
      ...(tail.length > 0 ? { shape: tail } : {}),
    });
  }
  return { columns, isMatrix: false };
}

/** The outputs that the signature declares; empty when it declares none that are plain. What the model really answers counts more. */
export function pythonOutputs(text: string | null | undefined, at: string): ModelSignature["outputs"] {
  if (!text) return [];
  const list = parseList(text, at, "outputs");
  const tensors = z.array(tensorSchema).safeParse(list);
  if (tensors.success) {
    return tensors.data.flatMap((tensor, index) => {
      const { dtype, shape } = tensor["tensor-spec"];
      const type = tensorTypes[dtype];
      if (type === undefined) return [];
      const name = tensor.name || (tensors.data.length === 1 ? "predictions" : `output-${index}`);
      return [{ name, type, ...(shape.length > 1 ? { shape: shape.slice(1) } : {}) }];
    });
  }
  const columns = z.array(columnSchema).safeParse(list);
  if (!columns.success) return [];
  return columns.data.flatMap((column, index) => {
    const type = columnTypeSchema.safeParse(column.type);
    if (!type.success) return [];
    return [{ name: column.name ?? (columns.data.length === 1 ? "predictions" : `output-${index}`), type: type.data }];
  });
}

/** MLflow writes the signature as JSON text inside the YAML. */
function parseList(text: string, at: string, part: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new EspalierError("INVALID_DATA", `The signature's ${part} in MLmodel are not JSON`, { at, cause });
  }
}
