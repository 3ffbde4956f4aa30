import { open, readdir, readFile, realpath, stat } from "node:fs/promises";
import { join, sep } from "node:path";
import {
  type ArtifactRef,
  type Artifacts,
  type ArtifactType,
  type CollectedOutputs,
  EspalierError,
  isEspalierError,
  type Json,
  type WorkOrder,
} from "@espalier/core";
import { type AttemptFolder, sizeOf } from "./attempt-folder.ts";

const valueBytes = 64 * 1024;

/** Publishes what lies in the outputs folder, each by its declared type. */
export async function collectOutputs(
  artifacts: Artifacts,
  order: WorkOrder,
  folder: AttemptFolder,
): Promise<CollectedOutputs> {
  const outputs: Record<string, ArtifactRef> = {};
  const values: Record<string, Json> = {};
  for (const [name, { type, optional }] of Object.entries(order.outputs)) {
    const path = join(folder.outputs, name);
    const at = `steps.${order.step}.outputs.${name}`;
    if ((await sizeOf(path)) === undefined) {
      if (optional === true) continue;
      throw await missingOutput(order, folder, name, at);
    }
    await checkPlace(path, folder, name, at);
    await checkType(path, name, type, at);
    if (type === "value") values[name] = await readValue(path, name, at);
    outputs[name] = await publish(artifacts, path, type).catch((error: unknown) => {
      throw inWordsOfTheStep(error, folder, name, at);
    });
  }
  return { outputs, values };
}

const publish = (artifacts: Artifacts, path: string, type: ArtifactType): Promise<ArtifactRef> =>
  type === "tree" || type === "model" ? artifacts.putTree(path, type) : artifacts.putFile(path, type);

/** What is wrong with a file that a step left is the step's failure, at a place that the step's author knows. */
function inWordsOfTheStep(error: unknown, folder: AttemptFolder, name: string, at: string): unknown {
  if (!isEspalierError(error) || error.code !== "INVALID_INPUT") return error;
  return new EspalierError(
    "STEP_FAILED",
    `Output ${name}: ${error.message.replaceAll(`${folder.outputs}${sep}`, "")}`,
    {
      cause: error,
      at,
      ...(error.hint === undefined ? {} : { hint: error.hint }),
    },
  );
}

async function missingOutput(
  order: WorkOrder,
  folder: AttemptFolder,
  name: string,
  at: string,
): Promise<EspalierError> {
  const left = await readdir(folder.outputs);
  return new EspalierError("STEP_FAILED", `Step ${order.step} ended well but left no output ${name}`, {
    at,
    details: { outputs: left },
    hint: `Write it to \${{ outputs.${name} }} (the path is $ESPALIER_OUTPUTS/${name}); the step left ${left.length === 0 ? "nothing" : left.join(", ")}.`,
  });
}

/** A link may name another file of the attempt; followed further it would publish what only the control plane may read. */
async function checkPlace(path: string, folder: AttemptFolder, name: string, at: string): Promise<void> {
  const [target, root] = await Promise.all([realpath(path), realpath(folder.root)]);
  if (target.startsWith(root + sep)) return;
  throw new EspalierError("STEP_FAILED", `Output ${name} is a symlink that leads out of the step's folders`, {
    at,
    hint: "Copy what it names (`cp -L`) instead of linking to it.",
  });
}

async function checkType(path: string, name: string, type: ArtifactType, at: string): Promise<void> {
  const found = await stat(path);
  const isFolder = found.isDirectory();
  // To open a pipe waits for its writer, for ever.
  if (!isFolder && !found.isFile()) {
    throw new EspalierError("STEP_FAILED", `Output ${name} is neither a file nor a folder`, {
      at,
      hint: "Pipes, sockets and devices can not be stored; write a file.",
    });
  }
  if (isFolder !== (type === "tree" || type === "model")) {
    throw new EspalierError("STEP_FAILED", `Output ${name} is a ${isFolder ? "folder" : "file"}, not a ${type}`, {
      at,
      hint: isFolder ? "Declare it as `tree`, or write one file." : "Declare it as `file`, or write a folder.",
    });
  }
  if (type === "parquet") await checkParquet(path, name, at);
  const described = type === "model" ? ["signature.json", "MLmodel"] : [];
  const sizes = await Promise.all(described.map((file) => sizeOf(join(path, file))));
  if (type === "model" && sizes.every((size) => size === undefined)) {
    throw new EspalierError("STEP_FAILED", `Output ${name} is no model: it has neither signature.json nor MLmodel`, {
      at,
      hint: "A model is a folder with its payload (such as model.onnx) and signature.json, which lists its input columns; or one that MLflow saved.",
    });
  }
}

/** Parquet begins and ends with a mark; a file cut in half lacks the second. */
async function checkParquet(path: string, name: string, at: string): Promise<void> {
  const file = await open(path);
  try {
    const { size } = await file.stat();
    const marks = Buffer.alloc(8);
    if (size >= 12) {
      await file.read(marks, 0, 4, 0);
      await file.read(marks, 4, 4, size - 4);
    }
    if (marks.toString("latin1") === "PAR1PAR1") return;
    throw new EspalierError("STEP_FAILED", `Output ${name} is not a whole Parquet file (${size} bytes)`, {
      at,
      hint: "Close the writer before the step ends, or declare the output as `file`.",
    });
  } finally {
    await file.close();
  }
}

async function readValue(path: string, name: string, at: string): Promise<Json> {
  const size = (await sizeOf(path)) ?? 0;
  if (size > valueBytes) {
    throw new EspalierError("TOO_LARGE", `Output ${name} has ${size} bytes; a value has at most ${valueBytes}`, {
      at,
      hint: "Declare it as `file`.",
    });
  }
  try {
    return JSON.parse(await readFile(path, "utf8")) as Json;
  } catch (cause) {
    throw new EspalierError("STEP_FAILED", `Output ${name} is not valid JSON`, {
      cause,
      at,
      hint: "A `value` is one JSON document; a text needs its quotes. Anything else is declared as `file`.",
    });
  }
}
