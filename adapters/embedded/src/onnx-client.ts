import { join } from "node:path";
import { EspalierError, type ModelSignature, scoreOutput } from "@espalier/core";
import type { InferenceSession, Tensor } from "onnxruntime-node";
import { readModelFolder } from "./model-folder.ts";
import { createSession, importOnnxRuntime } from "./onnx-session-client.ts";

export type ColumnValues = ArrayLike<unknown>;

/** A model folder, loaded. */
export interface OnnxModel {
  signature: ModelSignature;
  /** One score a row, from columns in the order of the signature's inputs. Missing numbers go in as NaN. */
  score(columns: readonly ColumnValues[], rows: number): Promise<Float64Array>;
  close(): Promise<void>;
}

/**
 * Loads `{signature.json, payload}`, or an MLmodel folder as MLflow's clients log it. `name` is how messages call it. INVALID_DATA when the
 * folder is no model, UNSUPPORTED without ONNX.
 */
export async function openOnnxModel(folder: string, name: string): Promise<OnnxModel> {
  const { file, signature: given, inputs } = await readModelFolder(folder, name);
  const runtime = await importOnnxRuntime();
  const session = await createSession(join(folder, file), name);
  const signature = given ?? signatureOf(inputs ?? [], session);
  const output = requireScoreOutput(signature, session, name);
  return {
    signature,
    score: async (columns, rows) => {
      const feeds = makeFeeds(runtime.Tensor, session, signature, columns, rows);
      const result = await session.run(feeds, [output.name]);
      return readScores(result[output.name], output.column, rows, name);
    },
    close: () => session.release(),
  };
}

/** The outputs are the graph's, whose names the runtime needs. */
export function signatureOf(
  inputs: ModelSignature["inputs"],
  session: Pick<InferenceSession, "outputMetadata">,
): ModelSignature {
  const outputs = session.outputMetadata.filter((output) => output.isTensor);
  return {
    format: "mlflow",
    payload: ".",
    inputs,
    outputs: outputs.map((output) => ({ name: output.name, type: "double" })),
  };
}

/** The same choice of output as a model server makes, so that what is judged is what is served. */
function requireScoreOutput(
  signature: ModelSignature,
  session: InferenceSession,
  name: string,
): ReturnType<typeof scoreOutput> {
  const wanted = scoreOutput(signature);
  if (session.outputNames.includes(wanted.name)) return wanted;
  throw new EspalierError(
    "SIGNATURE_MISMATCH",
    `The signature of \`${name}\` names the output \`${wanted.name}\`, which the graph does not have`,
    { at: `${name}/signature.json`, hint: `The graph's outputs are: ${session.outputNames.join(", ")}.` },
  );
}

type TensorClass = typeof Tensor;

function makeFeeds(
  tensor: TensorClass,
  session: InferenceSession,
  signature: ModelSignature,
  columns: readonly ColumnValues[],
  rows: number,
): Record<string, Tensor> {
  const single = session.inputNames.length === 1 ? session.inputMetadata[0] : undefined;
  const namesColumn = signature.inputs.some((input) => input.name === session.inputNames[0]);
  if (single?.isTensor && !(namesColumn && signature.inputs.length === 1)) {
    return { [single.name]: matrix(tensor, single.type, columns, rows) };
  }
  const feeds: Record<string, Tensor> = {};
  for (const metadata of session.inputMetadata) {
    const index = signature.inputs.findIndex((input) => input.name === metadata.name);
    const values = columns[index];
    if (values === undefined || !metadata.isTensor) {
      throw new EspalierError("SIGNATURE_MISMATCH", `The graph's input \`${metadata.name}\` is not in the signature`, {
        at: "signature.json",
        hint: `The signature has: ${signature.inputs.map((input) => input.name).join(", ")}.`,
      });
    }
    const shape = metadata.shape.length === 1 ? [rows] : [rows, 1];
    feeds[metadata.name] = columnTensor(tensor, metadata.type, values, shape, metadata.name);
  }
  return feeds;
}

function matrix(tensor: TensorClass, type: string, columns: readonly ColumnValues[], rows: number): Tensor {
  const width = columns.length;
  const data = type === "float64" ? new Float64Array(rows * width) : new Float32Array(rows * width);
  for (const [index, values] of columns.entries()) {
    for (let row = 0; row < rows; row++) data[row * width + index] = toNumber(values[row]);
  }
  return data instanceof Float64Array
    ? new tensor("float64", data, [rows, width])
    : new tensor("float32", data, [rows, width]);
}

function columnTensor(
  tensor: TensorClass,
  type: string,
  values: ColumnValues,
  shape: number[],
  column: string,
): Tensor {
  const list = Array.from(values);
  switch (type) {
    case "float32":
      return new tensor("float32", Float32Array.from(list, toNumber), shape);
    case "float64":
      return new tensor("float64", Float64Array.from(list, toNumber), shape);
    case "string":
      return new tensor(
        "string",
        list.map((value) => (value === null ? "" : String(value))),
        shape,
      );
    case "bool":
      return new tensor(
        "bool",
        Uint8Array.from(list, (value) => (value ? 1 : 0)),
        shape,
      );
    case "int64":
      return new tensor(
        "int64",
        BigInt64Array.from(list, (value) => BigInt(wholeNumber(value, column))),
        shape,
      );
    case "int32":
      return new tensor(
        "int32",
        Int32Array.from(list, (value) => wholeNumber(value, column)),
        shape,
      );
    default:
      throw new EspalierError("UNSUPPORTED", `The graph's input \`${column}\` has the type ${type}`, { at: column });
  }
}

function toNumber(value: unknown): number {
  return value === null || value === undefined ? Number.NaN : Number(value);
}

/** A whole number has no NaN: a missing value would silently become 0. */
function wholeNumber(value: unknown, column: string): number {
  const number = toNumber(value);
  if (Number.isInteger(number)) return number;
  throw new EspalierError(
    "INVALID_DATA",
    `The column \`${column}\` holds a missing or fractional value, the model takes whole numbers`,
    {
      at: column,
    },
  );
}

export function readScores(output: unknown, wanted: number | "last", rows: number, name: string): Float64Array {
  const { data } = output as { data: ArrayLike<number | bigint> };
  const width = data.length / rows;
  const column = wanted === "last" ? width - 1 : wanted;
  if (!Number.isInteger(width) || column >= width) {
    throw new EspalierError(
      "SIGNATURE_MISMATCH",
      `The graph of \`${name}\` gives ${data.length} values for ${rows} rows`,
      {
        at: `${name}/signature.json: score`,
      },
    );
  }
  const scores = new Float64Array(rows);
  for (let row = 0; row < rows; row++) {
    const score = Number(data[row * width + column]);
    if (!Number.isFinite(score)) {
      throw new EspalierError("INVALID_DATA", `The model \`${name}\` gives no number for a row (${score})`, {
        at: name,
        hint: "A missing value may have reached a graph that takes none; fill it in the features.",
      });
    }
    scores[row] = score;
  }
  return scores;
}
