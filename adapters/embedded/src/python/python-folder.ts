import { readFile } from "node:fs/promises";
import { join } from "node:path";
import {
  columnTypeSchema,
  EspalierError,
  type InputColumn,
  type ModelSignature,
  modelSignatureSchema,
} from "@espalier/core";
import { parse as parseYaml } from "yaml";
import { z } from "zod";
import { fromDiskError, hasSystemCode } from "../disk-errors.ts";

const mlmodelSchema = z.looseObject({
  flavors: z.record(z.string(), z.unknown()),
  signature: z.looseObject({ inputs: z.string().nullish(), outputs: z.string().nullish() }).nullish(),
});
const columnSchema = z.looseObject({ name: z.string(), type: columnTypeSchema, required: z.boolean().optional() });
const tensorSchema = z.looseObject({
  type: z.literal("tensor"),
  name: z.string().nullish(),
  "tensor-spec": z.looseObject({ dtype: z.string(), shape: z.array(z.int()) }),
});

/** An MLflow model that only Python can run. */
export interface PythonFolder {
  /** The folder with the MLmodel. */
  folder: string;
  inputs: InputColumn[];
  /** The columns are one unnamed tensor `[rows, columns]`. */
  isMatrix: boolean;
  /** What the model answers by its signature; empty when that does not say. */
  outputNames: string[];
  score?: ModelSignature["score"];
}

/** undefined: an ONNX graph, or no MLmodel at all. INVALID_DATA: it was logged without the names of its columns. */
export async function readPythonFolder(folder: string, name: string): Promise<PythonFolder | undefined> {
  const own = modelSignatureSchema.safeParse(jsonOf(await textOf(join(folder, "signature.json"))));
  const payload = own.success ? own.data.payload : ".";
  if ((own.success && own.data.format === "onnx") || payload.split(/[/\\]/).includes("..")) return undefined;
  const text = await textOf(join(folder, payload, "MLmodel"));
  const mlmodel = mlmodelSchema.safeParse(yamlOf(text));
  if (!mlmodel.success) return undefined;
  const { flavors, signature } = mlmodel.data;
  if (!("python_function" in flavors) || "onnx" in flavors) return undefined;
  const found = inputsOf(signature?.inputs);
  const inputs = own.success ? own.data.inputs : found?.columns;
  if (inputs === undefined) {
    throw new EspalierError(
      "INVALID_DATA",
      `The MLflow model \`${name}\` was logged without the names of its columns`,
      {
        at: `${name}/MLmodel`,
        hint: "Log it with a signature: `log_model(..., signature=infer_signature(rows, predictions))`.",
      },
    );
  }
  return {
    folder: join(folder, payload),
    inputs,
    isMatrix: found?.isMatrix ?? false,
    outputNames: own.success ? own.data.outputs.map((output) => output.name) : outputsOf(signature?.outputs),
    ...(own.success && own.data.score !== undefined ? { score: own.data.score } : {}),
  };
}

function inputsOf(text: string | null | undefined): { columns: InputColumn[]; isMatrix: boolean } | undefined {
  const list = jsonOf(text ?? undefined);
  const tensors = z.array(tensorSchema).length(1).safeParse(list);
  const [tensor] = tensors.success ? tensors.data : [];
  if (tensor !== undefined) {
    const width = tensor["tensor-spec"].shape[1];
    if (tensor.name || width === undefined || width < 1 || tensor["tensor-spec"].shape.length !== 2) return undefined;
    const type = tensor["tensor-spec"].dtype === "float32" ? "float" : "double";
    const columns = Array.from(
      { length: width },
      (_, index) => ({ name: String(index), type, nullable: true }) as const,
    );
    return { columns, isMatrix: true };
  }
  const columns = z.array(columnSchema).min(1).safeParse(list);
  if (!columns.success) return undefined;
  return {
    isMatrix: false,
    columns: columns.data.map(({ name, type, required }) => {
      // As MLflow: a missing integer or boolean is refused by its own check, whatever the signature says.
      const canBeNull = required === false && !["integer", "long", "boolean"].includes(type);
      return { name, type, ...(canBeNull ? { nullable: true } : {}) };
    }),
  };
}

function outputsOf(text: string | null | undefined): string[] {
  const list = z.array(z.looseObject({ name: z.string().nullish() })).safeParse(jsonOf(text ?? undefined));
  return list.success ? list.data.flatMap(({ name }) => (name ? [name] : [])) : [];
}

async function textOf(path: string): Promise<string | undefined> {
  return readFile(path, "utf8").catch((error: unknown) => {
    if (hasSystemCode(error, "ENOENT", "ENOTDIR")) return undefined;
    throw fromDiskError(error, path);
  });
}

/** What does not parse is found to be something else by the schema. */
function jsonOf(text: string | undefined): unknown {
  try {
    return JSON.parse(text ?? "null");
  } catch {
    return undefined;
  }
}

function yamlOf(text: string | undefined): unknown {
  try {
    return parseYaml(text ?? "");
  } catch {
    return undefined;
  }
}
