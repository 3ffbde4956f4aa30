import { readFile, realpath, stat } from "node:fs/promises";
import { join, sep } from "node:path";
import { EspalierError, type ModelSignature, modelSignatureSchema } from "@espalier/core";
import { parse } from "yaml";
import { z } from "zod";

const mlmodelSchema = z.looseObject({
  flavors: z.record(z.string(), z.looseObject({})),
  signature: z
    .looseObject({ inputs: z.string().nullish(), outputs: z.string().nullish(), params: z.string().nullish() })
    .nullish(),
});

/** A model that Python has to run. */
export interface PythonFolder {
  /** Folder with the MLmodel. */
  folder: string;
  flavors: readonly string[];
  /** MLflow's signature, as JSON texts. */
  inputs?: string;
  outputs?: string;
  params?: string;
  /** Ours, where the model folder has one. */
  signature?: ModelSignature;
}

/**
 * The MLmodel of a model folder when nothing but Python can run it: it has the `python_function` flavour and no ONNX one. undefined for
 * everything else, faults included: those are told by the runtime that is asked next. Nothing is run or unpickled here.
 */
export async function findPythonFolder(modelFolder: string): Promise<PythonFolder | undefined> {
  const signature = await ownSignature(modelFolder);
  if (signature !== undefined && signature.format !== "mlflow") return undefined;
  const folder = signature === undefined ? modelFolder : await inside(modelFolder, signature.payload);
  if (folder === undefined) return undefined;
  const text = await textOf(join(folder, "MLmodel"));
  if (text === undefined) return undefined;
  const parsed = mlmodelSchema.safeParse(parseYaml(text));
  if (!parsed.success) return undefined;
  const flavors = Object.keys(parsed.data.flavors);
  if (flavors.includes("onnx") || !flavors.includes("python_function")) return undefined;
  const { inputs, outputs, params } = parsed.data.signature ?? {};
  return {
    folder,
    flavors,
    ...(inputs ? { inputs } : {}),
    ...(outputs ? { outputs } : {}),
    ...(params ? { params } : {}),
    ...(signature === undefined ? {} : { signature }),
  };
}

async function ownSignature(folder: string): Promise<ModelSignature | undefined> {
  const text = await textOf(join(folder, "signature.json"));
  if (text === undefined) return undefined;
  try {
    return modelSignatureSchema.parse(JSON.parse(text));
  } catch (cause) {
    // A file of that name beside an MLmodel may be another tool's.
    if ((await textOf(join(folder, "MLmodel"))) !== undefined) return undefined;
    throw new EspalierError("INVALID_DATA", "signature.json is not a signature", {
      at: join(folder, "signature.json"),
      cause,
    });
  }
}

/** A payload never leaves its model folder, by `..` or by a link; what does is refused by the runtime that is asked next. */
async function inside(modelFolder: string, payload: string): Promise<string | undefined> {
  const root = await realpath(modelFolder);
  const path = await realpath(join(root, payload)).catch(() => undefined);
  if (path === undefined || (path !== root && !path.startsWith(root + sep))) return undefined;
  return (await stat(path)).isDirectory() ? path : undefined;
}

async function textOf(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    const code = error instanceof Error && "code" in error ? error.code : undefined;
    if (code === "ENOENT" || code === "ENOTDIR") return undefined;
    throw error;
  }
}

function parseYaml(text: string): unknown {
  try {
    return parse(text);
  } catch {
    return undefined;
  }
}
