import { access, readFile } from "node:fs/promises";
import { join } from "node:path";
import { EspalierError, type ModelSignature, modelSignatureSchema, scoreOutput } from "@espalier/core";
import type { InferenceSession, Tensor } from "onnxruntime-node";
import { readMlmodel } from "./mlmodel.ts";

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
  const { file, signature: given, inputs } = await describe(folder, name);
  const runtime = await import("onnxruntime-node").catch((cause: unknown) => {
    throw new EspalierError("NOT_INSTALLED", "onnxruntime-node is not installed for this platform", {
      cause,
      hint: "npm install onnxruntime-node",
    });
  });
  const path = join(folder, file);
  // One thread: sums over trees in another order would change the last digits of a score.
  const options = { intraOpNumThreads: 1, interOpNumThreads: 1, logSeverityLevel: 3 } as const;
  const session = await runtime.InferenceSession.create(path, options).catch((cause: unknown) => {
    throw new EspalierError("INVALID_DATA", `The ONNX graph of \`${name}\` can not be loaded: ${textOf(cause)}`, {
      cause,
      at: file,
    });
  });
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

interface Described {
  /** The ONNX file, relative to the folder. */
  file: string;
  signature?: ModelSignature;
  /** Columns of a folder without signature.json. */
  inputs?: ModelSignature["inputs"];
}

async function describe(folder: string, name: string): Promise<Described> {
  const isThere = await access(join(folder, "signature.json")).then(
    () => true,
    () => false,
  );
  const mlmodel = isThere ? undefined : await readMlmodel(folder, name);
  if (mlmodel === undefined) {
    const signature = await readSignature(folder, name);
    return { signature, file: await payloadFile(folder, signature, name) };
  }
  if (mlmodel.inputs !== undefined) return { file: mlmodel.file, inputs: mlmodel.inputs };
  throw new EspalierError("INVALID_DATA", `The MLflow model \`${name}\` was logged without the names of its columns`, {
    at: `${name}/MLmodel`,
    hint: "Log it with a signature: `mlflow.onnx.log_model(..., signature=infer_signature(rows, predictions))`.",
  });
}

/** The outputs are the graph's, whose names the runtime needs. */
function signatureOf(inputs: ModelSignature["inputs"], session: InferenceSession): ModelSignature {
  const outputs = session.outputMetadata.filter((output) => output.isTensor);
  return {
    format: "mlflow",
    payload: ".",
    inputs,
    outputs: outputs.map((output) => ({ name: output.name, type: "double" })),
  };
}

async function readSignature(folder: string, name: string): Promise<ModelSignature> {
  const text = await readFile(join(folder, "signature.json"), "utf8").catch((cause: unknown) => {
    throw new EspalierError("INVALID_DATA", `The model \`${name}\` has no signature.json`, {
      cause,
      at: name,
      hint: "A model output is a folder with signature.json and its payload, such as model.onnx.",
    });
  });
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch (cause) {
    throw new EspalierError("INVALID_DATA", `signature.json of \`${name}\` is not JSON: ${textOf(cause)}`, {
      cause,
      at: name,
    });
  }
  const parsed = modelSignatureSchema.safeParse(document);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  throw new EspalierError("INVALID_DATA", `signature.json of \`${name}\` is not valid: ${issue?.message}`, {
    at: `${name}/signature.json: ${issue?.path.join(".") ?? ""}`,
  });
}

async function payloadFile(folder: string, signature: ModelSignature, name: string): Promise<string> {
  if (signature.payload.split(/[/\\]/).includes("..")) {
    throw new EspalierError("INVALID_DATA", `The payload of \`${name}\` leads outside of the model`, {
      at: signature.payload,
    });
  }
  if (signature.format === "onnx") return signature.payload;
  const mlmodel = await readMlmodel(join(folder, signature.payload), name);
  if (mlmodel !== undefined) return join(signature.payload, mlmodel.file);
  throw new EspalierError("INVALID_DATA", `The payload of \`${name}\` is no folder with an MLmodel`, {
    at: signature.payload,
  });
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

function readScores(output: unknown, wanted: number | "last", rows: number, name: string): Float64Array {
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

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
