import { access, readFile } from "node:fs/promises";
import { join } from "node:path";
import { EspalierError, type ModelSignature, modelSignatureSchema } from "@espalier/core";
import { readMlmodel } from "./mlmodel.ts";

/** What a model folder says of itself; nothing is loaded yet. */
export interface ModelFolder {
  /** The ONNX file, relative to the folder. */
  file: string;
  signature?: ModelSignature;
  /** Columns of a folder without signature.json. */
  inputs?: ModelSignature["inputs"];
}

/**
 * Reads `{signature.json, payload}`, or an MLmodel folder with an ONNX flavour. `name` is how messages call it. INVALID_DATA when the folder
 * is no model, UNSUPPORTED without ONNX.
 */
export async function readModelFolder(folder: string, name: string): Promise<ModelFolder> {
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

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
