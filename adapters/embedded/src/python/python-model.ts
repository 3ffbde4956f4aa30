import { EspalierError, type InputColumn, type ModelSignature, stepVariables } from "@espalier/core";
import type { FeedLayout } from "../batch/feed-layout.ts";
import type { Feed, FeedType, GraphFeed, GraphOutput } from "../onnx-session-client.ts";
import { type ModelWorker, startModelWorker, type WorkerAnswer } from "./model-worker.ts";
import type { PythonFolder } from "./python-folder.ts";

/** A Python model in memory. Its columns go in one by one, whatever the model makes of them. */
export interface PythonModel {
  signature: ModelSignature;
  layout: readonly FeedLayout[];
  run(feeds: readonly GraphFeed[], rows: number): Promise<GraphOutput[]>;
  close(): Promise<void>;
}

export const feedTypes: Readonly<Record<InputColumn["type"], FeedType>> = {
  boolean: "bool",
  integer: "int32",
  long: "int64",
  float: "float32",
  double: "float64",
  string: "string",
  datetime: "string",
};
const columnTypes: Readonly<Record<FeedType, InputColumn["type"]>> = {
  bool: "boolean",
  int32: "integer",
  int64: "long",
  float32: "float",
  float64: "double",
  string: "string",
};

/** The program of the environment that whoever started the step has made for the model in this input. NOT_INSTALLED: none was made. */
export function pythonOf(input: string, environment: NodeJS.ProcessEnv): string {
  const programs = JSON.parse(environment[stepVariables.modelPythons] ?? "{}") as Record<string, string>;
  const program = programs[input];
  if (program !== undefined) return program;
  throw new EspalierError(
    "NOT_INSTALLED",
    `The MLflow model \`${input}\` needs its Python environment, which is not here`,
    {
      at: `inputs.${input}`,
      hint: "The control plane makes it for steps on its own machine: leave `compute:` out of the step, or export the model to ONNX.",
    },
  );
}

/** Loads the model, and learns what it answers from the rows that it was logged with, where it has some. */
export async function openPythonModel(model: PythonFolder, python: string): Promise<PythonModel> {
  const worker = await startModelWorker(python, model.folder);
  try {
    const layout = model.inputs.map(
      ({ name, type }, index): FeedLayout => ({ name, type: feedTypes[type], tail: [], columns: [index] }),
    );
    const run = async (feeds: readonly GraphFeed[], rows: number): Promise<GraphOutput[]> =>
      renamed(decode(await ask(worker, model, feeds, rows)), model);
    const seen = renamed(decode(await worker.ask({ op: "learn" }, [])), model);
    const outputs =
      seen.length > 0 ? seen.map(({ name, type }) => ({ name, type: columnTypes[type] })) : declaredOutputs(model);
    const signature: ModelSignature = {
      format: "mlflow",
      payload: ".",
      inputs: model.inputs,
      outputs,
      ...(model.score === undefined ? {} : { score: model.score }),
    };
    return { signature, layout, run, close: () => worker.close() };
  } catch (error) {
    await worker.close();
    throw error;
  }
}

/** Without an example to learn from: an answer without a name is called as MLflow's server calls it. */
function declaredOutputs({ outputNames }: PythonFolder): ModelSignature["outputs"] {
  return (outputNames.length === 0 ? ["predictions"] : outputNames).map((name) => ({ name, type: "double" }));
}

function ask(
  worker: ModelWorker,
  model: PythonFolder,
  feeds: readonly GraphFeed[],
  rows: number,
): Promise<WorkerAnswer> {
  if (model.isMatrix) {
    const matrix = new Float64Array(rows * feeds.length);
    for (const [column, { data }] of feeds.entries()) {
      for (let row = 0; row < rows; row++) matrix[row * feeds.length + column] = Number(data[row]);
    }
    const column = {
      name: "input",
      type: "float64",
      shape: [feeds.length],
      count: matrix.length,
      bytes: matrix.byteLength,
    };
    return worker.ask({ op: "predict", rows, columns: [column] }, [new Uint8Array(matrix.buffer)]);
  }
  const parts: Uint8Array[] = [];
  const columns = feeds.map(({ name, type, data }) => {
    if (Array.isArray(data)) return { name, type: "string", values: data };
    parts.push(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
    return { name, type, count: data.length, bytes: data.byteLength };
  });
  return worker.ask({ op: "predict", rows, columns }, parts);
}

interface DescribedOutput {
  name: string;
  type: FeedType;
  bytes?: number;
  values?: string[];
}

function decode({ header, body }: WorkerAnswer): (GraphOutput & { isUnnamed: boolean })[] {
  const { outputs = [], form } = header as { outputs?: DescribedOutput[]; form?: string };
  let at = 0;
  return outputs.map(({ name, type, bytes = 0, values }) => {
    const isUnnamed = form === "values";
    if (values !== undefined) return { name, type: "string", data: values, isUnnamed };
    // A copy, since the frame's place in memory fits no array.
    const buffer = new Uint8Array(body.subarray(at, at + bytes)).buffer;
    at += bytes;
    return { name, type, data: arrayOf(type, buffer), isUnnamed };
  });
}

function arrayOf(type: FeedType, buffer: ArrayBuffer): Feed {
  switch (type) {
    case "float32":
      return new Float32Array(buffer);
    case "float64":
      return new Float64Array(buffer);
    case "int64":
      return new BigInt64Array(buffer);
    case "int32":
      return new Int32Array(buffer);
    default:
      return new Uint8Array(buffer);
  }
}

/** An array has no name; the signature may have one for it. */
function renamed(outputs: readonly (GraphOutput & { isUnnamed: boolean })[], model: PythonFolder): GraphOutput[] {
  const [only] = model.outputNames;
  const isOne = outputs.length === 1 && outputs[0]?.isUnnamed === true && model.outputNames.length === 1;
  return outputs.map(({ name, type, data }) => ({ name: isOne && only !== undefined ? only : name, type, data }));
}
