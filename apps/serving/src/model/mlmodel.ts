import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { columnTypeSchema, EspalierError, type InputColumn } from "@espalier/core";
import { parse } from "yaml";
import { z } from "zod";
import { insideFolder } from "./inside-folder.ts";

const mlmodelSchema = z.looseObject({
  flavors: z.record(z.string(), z.looseObject({ data: z.string().optional() })),
  signature: z.looseObject({ inputs: z.string().nullish() }).nullish(),
});

const columnSchema = z.looseObject({
  name: z.string().optional(),
  type: z.string(),
  required: z.boolean().optional(),
});

export interface Mlmodel {
  /** Path of the ONNX file. */
  file: string;
  /** Absent when the folder has no signature, or one of unnamed tensors. */
  inputs?: InputColumn[];
}

/** Reads an MLmodel folder with an ONNX flavour; nothing in it is ever run or unpickled. Errors: NOT_FOUND, INVALID_DATA, UNSUPPORTED. */
export async function readMlmodel(folder: string): Promise<Mlmodel> {
  const at = join(folder, "MLmodel");
  const parsed = mlmodelSchema.safeParse(parseYaml(await readFile(at, "utf8"), at));
  if (!parsed.success) {
    throw new EspalierError("INVALID_DATA", `MLmodel is not understood: ${z.prettifyError(parsed.error)}`, { at });
  }
  const { flavors, signature } = parsed.data;
  const file = flavors.onnx?.data;
  if (file === undefined) {
    throw new EspalierError(
      "UNSUPPORTED",
      `This MLflow model has no ONNX flavour, only ${Object.keys(flavors).join(", ")}`,
      {
        at,
        hint: "Pickled flavours are never loaded here; log the model with mlflow.onnx.log_model (skl2onnx converts scikit-learn models).",
      },
    );
  }
  const inputs = inputColumns(signature?.inputs, at);
  const path = await insideFolder(folder, file, "MLmodel");
  return { file: path, ...(inputs === undefined ? {} : { inputs }) };
}

function parseYaml(text: string, at: string): unknown {
  try {
    return parse(text);
  } catch (error) {
    throw new EspalierError("INVALID_DATA", `MLmodel is not YAML: ${error instanceof Error ? error.message : error}`, {
      at,
    });
  }
}

/** MLflow writes the signature as JSON text inside the YAML. A column that is not required may be null. */
function inputColumns(text: string | null | undefined, at: string): InputColumn[] | undefined {
  if (!text) return undefined;
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw new EspalierError("INVALID_DATA", "The signature's inputs in MLmodel are not JSON", { at, cause });
  }
  const parsed = z.array(columnSchema).safeParse(json);
  if (!parsed.success)
    throw new EspalierError("INVALID_DATA", "The signature's inputs in MLmodel are not columns", { at });
  if (parsed.data.some((column) => column.type === "tensor" || column.name === undefined)) return undefined;
  return parsed.data.map((column) => {
    const type = columnTypeSchema.safeParse(column.type);
    if (!type.success) {
      throw new EspalierError("UNSUPPORTED", `Column "${column.name}" has type ${column.type}`, { at });
    }
    const canBeNull = column.required === false && (type.data === "float" || type.data === "double");
    return { name: column.name ?? "", type: type.data, ...(canBeNull ? { nullable: true } : {}) };
  });
}
