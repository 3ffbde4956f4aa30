import { open, readFile, realpath, stat } from "node:fs/promises";
import { join, sep } from "node:path";
import { EspalierError, type InputColumn, type ModelSignature, modelSignatureSchema } from "@espalier/core";
import { z } from "zod";
import { encode, type Feed, type GraphInput, layoutOf, type TensorMetadata } from "./layout.ts";
import { readMlmodel } from "./mlmodel.ts";
import type { ModelOutput } from "./model.ts";
import { type OnnxSession, openOnnxSession } from "./onnx-client.ts";

/** A graph in memory: feeds in, outputs out, one run at a time. */
export interface OnnxGraph {
  signature: ModelSignature;
  layout: readonly GraphInput[];
  run(feeds: readonly Feed[], rows: number): Promise<ModelOutput[]>;
  release(): Promise<void>;
}

/**
 * Opens a model folder `{payload, signature.json}` or an MLmodel folder with an ONNX flavour, and runs it once.
 * Errors: NOT_FOUND, INVALID_DATA, UNSUPPORTED (pickles, other flavours), SIGNATURE_MISMATCH, NOT_INSTALLED.
 */
export async function openGraph(folder: string): Promise<OnnxGraph> {
  const described = await describe(folder);
  await refusePickle(described.file);
  const session = await openOnnxSession(described.file);
  const signature: ModelSignature = described.signature ?? derivedSignature(session, described.inputs, folder);
  const layout = layoutOf(signature, session.inputs);
  const outputs = outputNames(signature, session);
  const model: OnnxGraph = {
    signature,
    layout,
    run: (feeds, rows) => runSession(session, layout, outputs, feeds, rows),
    release: () => session.release(),
  };
  await warmUp(model);
  return model;
}

async function describe(folder: string): Promise<{ file: string; signature?: ModelSignature; inputs?: InputColumn[] }> {
  const at = join(folder, "signature.json");
  const text = await readFile(at, "utf8").catch(() => undefined);
  if (text === undefined) {
    if (await isFile(join(folder, "MLmodel"))) return readMlmodel(folder);
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
  const payload = await inside(folder, signature.payload);
  const file = signature.format === "mlflow" ? (await readMlmodel(payload)).file : payload;
  return { file, signature };
}

async function isFile(path: string): Promise<boolean> {
  return stat(path).then(
    (entry) => entry.isFile(),
    () => false,
  );
}

/** A payload never leaves its model folder, by `..` or by a link. */
async function inside(folder: string, payload: string): Promise<string> {
  const root = await realpath(folder);
  const path = await realpath(join(root, payload)).catch(() => undefined);
  if (path === undefined) {
    throw new EspalierError("NOT_FOUND", `signature.json names the payload "${payload}", which is not there`, {
      at: folder,
    });
  }
  if (!path.startsWith(root + sep)) {
    throw new EspalierError("INVALID_DATA", `The payload "${payload}" lies outside the model folder`, { at: folder });
  }
  return path;
}

/** The runtime would refuse a pickle anyway, but could not tell the user why. */
async function refusePickle(file: string): Promise<void> {
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
  } finally {
    await handle.close();
  }
}

const numericTypes: Record<string, "float" | "double" | "long" | "integer" | "boolean" | "string"> = {
  float32: "float",
  float64: "double",
  int64: "long",
  int32: "integer",
  bool: "boolean",
  string: "string",
};

/** For MLmodel folders: columns of its signature, else of the graph; outputs always of the graph, whose names the runtime needs. */
function derivedSignature(session: OnnxSession, inputs: InputColumn[] | undefined, folder: string): ModelSignature {
  const columns = inputs ?? graphColumns(session.inputs, folder);
  const outputs = session.outputs
    .filter((output) => output.isTensor)
    .map((output) => ({
      name: output.name,
      type: numericTypes[output.type ?? ""] ?? ("double" as const),
    }));
  return { format: "mlflow", payload: ".", inputs: columns, outputs };
}

function graphColumns(graph: readonly TensorMetadata[], folder: string): InputColumn[] {
  const only = graph.length === 1 ? graph[0] : undefined;
  const width = only?.shape?.[1];
  if (only !== undefined && typeof width === "number" && width > 1) {
    const type = numericTypes[only.type ?? ""] ?? "float";
    return Array.from({ length: width }, (_, index) => ({ name: `${only.name}_${index}`, type }));
  }
  const scalar = graph.every((input) => input.shape !== undefined && (input.shape.length <= 1 || input.shape[1] === 1));
  if (!scalar) {
    throw new EspalierError(
      "SIGNATURE_MISMATCH",
      "The model has no signature, and its graph does not say how many columns it takes",
      {
        at: folder,
        hint: "Log the model with a signature, or put a signature.json beside it.",
      },
    );
  }
  return graph.map((input) => ({ name: input.name, type: numericTypes[input.type ?? ""] ?? "float" }));
}

function outputNames(signature: ModelSignature, session: OnnxSession): string[] {
  for (const { name } of signature.outputs) {
    const output = session.outputs.find((candidate) => candidate.name === name);
    const names = session.outputs.map((candidate) => candidate.name).join(", ");
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

async function runSession(
  session: OnnxSession,
  layout: readonly GraphInput[],
  outputs: readonly string[],
  feeds: readonly Feed[],
  rows: number,
): Promise<ModelOutput[]> {
  const tensors: Record<string, ReturnType<OnnxSession["tensor"]>> = {};
  layout.forEach((input, index) => {
    tensors[input.name] = session.tensor(input.type, feeds[index], [rows, ...input.tail]);
  });
  const results = await session.run(tensors, outputs);
  return outputs.map((name) => {
    const tensor = results[name];
    if (tensor === undefined || tensor.dims[0] !== rows) {
      throw new EspalierError("SIGNATURE_MISMATCH", `Output "${name}" has shape [${tensor?.dims}] for ${rows} rows`, {
        at: name,
      });
    }
    return { name, type: tensor.type, tail: tensor.dims.slice(1), data: tensor.data };
  });
}

/** The first run allocates; a graph whose outputs do not fit fails here and not at the first caller. Strings are not guessed. */
async function warmUp(model: OnnxGraph): Promise<void> {
  const { signature, layout } = model;
  if (signature.inputs.some(({ type }) => type === "string" || type === "datetime")) return;
  const values = signature.inputs.map(({ type }) => (type === "boolean" ? false : 0));
  try {
    await model.run(encode(signature, layout, { rows: 1, values }), 1);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new EspalierError("SIGNATURE_MISMATCH", `The model does not run on a row of zeros: ${reason}`, { cause });
  }
}
