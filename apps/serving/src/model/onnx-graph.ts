import { open, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { EspalierError, type InputColumn, type ModelSignature, modelSignatureSchema } from "@espalier/core";
import { z } from "zod";
import { columnTypes } from "./column-types.ts";
import { insideFolder } from "./inside-folder.ts";
import { concatenateFeeds, type Feed, type GraphInput, layoutOf, type TensorMetadata } from "./layout.ts";
import { readMlmodel } from "./mlmodel.ts";
import type { ModelOutput } from "./model.ts";
import type { OnnxFeed, OnnxTensor } from "./onnx-client.ts";

/** What a model folder says about itself before it is opened. */
export interface DescribedGraph {
  /** Path of the ONNX file. */
  file: string;
  bytes: number;
  signature?: ModelSignature;
  /** Columns of an MLmodel without `signature.json`. */
  inputs?: InputColumn[];
}

/** How columns become the graph's tensors, and which tensors are wanted. */
export interface GraphPlan {
  signature: ModelSignature;
  layout: readonly GraphInput[];
  outputs: readonly string[];
  /** The graph was exported for one row: more rows are more runs. */
  takesOneRow: boolean;
}

/** What runs a graph: a session of this thread, or a pool of threads. */
export interface GraphRunner {
  run(feeds: readonly OnnxFeed[], outputs: readonly string[]): Promise<OnnxTensor[]>;
}

/**
 * Reads a model folder `{payload, signature.json}`, an MLmodel folder with an ONNX flavour, or a bare model.onnx. Errors: NOT_FOUND, INVALID_DATA, UNSUPPORTED
 * (pickles, other flavours).
 */
export async function describeGraph(folder: string): Promise<DescribedGraph> {
  const described = await describe(folder);
  return { ...described, bytes: await checkFile(described.file) };
}

/** Errors: SIGNATURE_MISMATCH, UNSUPPORTED. */
export function planGraph(
  described: DescribedGraph,
  graph: { inputs: readonly TensorMetadata[]; outputs: readonly TensorMetadata[] },
  folder: string,
): GraphPlan {
  const signature = described.signature ?? derivedSignature(graph, described.inputs, folder);
  return {
    signature,
    layout: layoutOf(signature, graph.inputs),
    outputs: outputNames(signature, graph.outputs),
    takesOneRow: takesOneRow(graph.inputs),
  };
}

/** Errors: UNSUPPORTED for a graph that takes another fixed number of rows. */
function takesOneRow(graph: readonly TensorMetadata[]): boolean {
  const fixed = graph.map(({ shape }) => shape?.[0]).filter((size) => typeof size === "number");
  const other = fixed.find((size) => size !== 1);
  if (other === undefined) return fixed.length > 0;
  throw new EspalierError("UNSUPPORTED", `The graph takes exactly ${other} rows at a time`, {
    hint: "Export it with a dynamic first dimension (dynamic_axes of torch.onnx.export).",
  });
}

/** Errors: SIGNATURE_MISMATCH when an output has not one entry a row, INVALID_INPUT with what the runtime said, UNAVAILABLE. */
export async function runGraph(
  plan: GraphPlan,
  runner: GraphRunner,
  feeds: readonly Feed[],
  rows: number,
): Promise<ModelOutput[]> {
  if (!plan.takesOneRow || rows === 1) return runOnce(plan, runner, feeds, rows);
  const answers: ModelOutput[][] = [];
  for (let row = 0; row < rows; row++) {
    const width = (feed: Feed) => feed.length / rows;
    const part = feeds.map((feed) => feed.slice(row * width(feed), (row + 1) * width(feed)));
    answers.push(await runOnce(plan, runner, part, 1));
  }
  const joined = concatenateFeeds(answers.map((outputs) => outputs.map(({ data }) => data as Feed)));
  return (answers[0] ?? []).map((output, index) => ({ ...output, data: joined[index] as Feed }));
}

async function runOnce(
  { layout, outputs }: GraphPlan,
  runner: GraphRunner,
  feeds: readonly Feed[],
  rows: number,
): Promise<ModelOutput[]> {
  const tensors = layout.map(({ name, type, tail }, index) => ({
    name,
    type,
    data: feeds[index],
    dimensions: [rows, ...tail],
  }));
  let results: OnnxTensor[];
  try {
    results = await runner.run(tensors, outputs);
  } catch (cause) {
    if (cause instanceof EspalierError) throw cause;
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new EspalierError("INVALID_INPUT", `The model does not accept these values: ${reason}`, { cause });
  }
  return results.map(({ name, type, dimensions, data }) => {
    if (dimensions[0] !== rows) {
      throw new EspalierError("SIGNATURE_MISMATCH", `Output "${name}" has shape [${dimensions}] for ${rows} rows`, {
        at: name,
      });
    }
    return { name, type, tail: dimensions.slice(1), data };
  });
}

async function describe(folder: string): Promise<{ file: string; signature?: ModelSignature; inputs?: InputColumn[] }> {
  const at = join(folder, "signature.json");
  const text = await readFile(at, "utf8").catch(() => undefined);
  if (text === undefined) {
    if (await isFile(join(folder, "MLmodel"))) return readMlmodel(folder);
    // A version of Triton's repositories is this file and nothing else.
    if (await isFile(join(folder, "model.onnx"))) return { file: join(folder, "model.onnx") };
    throw new EspalierError("NOT_FOUND", `There is no model in ${folder}: neither signature.json nor MLmodel`, {
      at: folder,
    });
  }
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (cause) {
    throw new EspalierError("INVALID_DATA", "signature.json is not JSON", { at, cause });
  }
  const checked = modelSignatureSchema.safeParse(parsed);
  if (!checked.success) {
    throw new EspalierError("INVALID_DATA", `signature.json is not a signature: ${z.prettifyError(checked.error)}`, {
      at,
    });
  }
  const signature = checked.data;
  const payload = await insideFolder(folder, signature.payload, "signature.json");
  const file = signature.format === "mlflow" ? (await readMlmodel(payload)).file : payload;
  return { file, signature };
}

async function isFile(path: string): Promise<boolean> {
  return stat(path).then(
    (entry) => entry.isFile(),
    () => false,
  );
}

/** The file's size. The runtime would refuse a pickle anyway, but could not tell the user why. */
async function checkFile(file: string): Promise<number> {
  const handle = await open(file, "r").catch((cause: unknown) => {
    throw new EspalierError("NOT_FOUND", `The model file ${file} can not be opened`, { at: file, cause });
  });
  try {
    const head = Buffer.alloc(2);
    const { bytesRead } = await handle.read(head, 0, 2, 0);
    if (bytesRead === 0) throw new EspalierError("INVALID_DATA", "The model file is empty", { at: file });
    if (head[0] === 0x80 && (head[1] ?? 0) >= 2 && (head[1] ?? 0) <= 5) {
      throw new EspalierError("UNSUPPORTED", "The payload is a Python pickle, which is never loaded", {
        at: file,
        hint: "Export the model to ONNX, for example with skl2onnx.",
      });
    }
    return (await handle.stat()).size;
  } finally {
    await handle.close();
  }
}

/** For MLmodel folders: columns of its signature, else of the graph; outputs always of the graph, whose names the runtime needs. */
function derivedSignature(
  graph: { inputs: readonly TensorMetadata[]; outputs: readonly TensorMetadata[] },
  inputs: InputColumn[] | undefined,
  folder: string,
): ModelSignature {
  const columns = inputs ?? graphColumns(graph.inputs, folder);
  const outputs = graph.outputs
    .filter((output) => output.isTensor)
    .map(({ name, type = "", shape }) => {
      const tail = shape?.slice(1) ?? [];
      // A dimension that the graph leaves open is not promised.
      const known = shape !== undefined && tail.every((size) => typeof size === "number");
      return { name, type: columnTypes[type] ?? ("double" as const), ...(known ? { shape: tail } : {}) };
    });
  return { format: "mlflow", payload: ".", inputs: columns, outputs };
}

/** A matrix is columns `<name>_0`, `<name>_1`, ...; everything else one column an input, with a shape where a row holds several values. */
function graphColumns(graph: readonly TensorMetadata[], folder: string): InputColumn[] {
  const only = graph.length === 1 ? graph[0] : undefined;
  const width = only?.shape?.[1];
  if (only?.shape?.length === 2 && typeof width === "number" && width > 1) {
    const type = columnTypes[only.type ?? ""] ?? "float";
    return Array.from({ length: width }, (_, index) => ({ name: `${only.name}_${index}`, type }));
  }
  return graph.map(({ name, type: element = "", shape }) => {
    const type = columnTypes[element] ?? "float";
    const tail = shape?.slice(1);
    if (tail?.every((size) => typeof size === "number" && size > 0) === true) {
      return tail.every((size) => size === 1) ? { name, type } : { name, type, shape: tail as number[] };
    }
    throw new EspalierError(
      "SIGNATURE_MISMATCH",
      `The model has no signature, and its graph does not say how many values of "${name}" it takes a row`,
      {
        at: folder,
        hint: "Log the model with a signature, or put a signature.json beside it.",
      },
    );
  });
}

function outputNames(signature: ModelSignature, graph: readonly TensorMetadata[]): string[] {
  for (const { name } of signature.outputs) {
    const output = graph.find((candidate) => candidate.name === name);
    const names = graph.map((candidate) => candidate.name).join(", ");
    if (output === undefined) {
      throw new EspalierError("SIGNATURE_MISMATCH", `The graph has no output "${name}", only ${names}`, { at: name });
    }
    if (!output.isTensor) {
      throw new EspalierError("SIGNATURE_MISMATCH", `The graph's output "${name}" is not a tensor`, {
        at: name,
        hint: 'skl2onnx makes tensors of probabilities with options={"zipmap": False}.',
      });
    }
  }
  return signature.outputs.map(({ name }) => name);
}
