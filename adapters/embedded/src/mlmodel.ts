import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { columnTypeSchema, EspalierError, type InputColumn } from "@espalier/core";
import { parse as parseYaml } from "yaml";
import { z } from "zod";
import { fromDiskError, hasSystemCode } from "./disk-errors.ts";

const mlmodelSchema = z.looseObject({
  flavors: z.looseObject({ onnx: z.looseObject({ data: z.string().default("model.onnx") }).optional() }),
  signature: z.looseObject({ inputs: z.string().nullish() }).nullish(),
});

const columnsSchema = z.array(
  z.looseObject({ name: z.string(), type: columnTypeSchema, required: z.boolean().optional() }),
);

export interface Mlmodel {
  /** The ONNX file, relative to the folder. */
  file: string;
  /** Absent: the model was logged without a signature, or with one that names no columns. */
  inputs?: InputColumn[];
}

/** An MLmodel folder's ONNX flavour; nothing else in it is looked at. undefined: there is no MLmodel. INVALID_DATA, UNSUPPORTED. */
export async function readMlmodel(folder: string, name: string): Promise<Mlmodel | undefined> {
  const text = await readFile(join(folder, "MLmodel"), "utf8").catch((error: unknown) => {
    if (hasSystemCode(error, "ENOENT", "ENOTDIR")) return undefined;
    throw fromDiskError(error, join(folder, "MLmodel"));
  });
  if (text === undefined) return undefined;
  const at = `${name}/MLmodel`;
  const parsed = mlmodelSchema.safeParse(readYaml(text));
  if (!parsed.success) {
    throw new EspalierError("INVALID_DATA", `The MLmodel of \`${name}\` is not understood`, { at });
  }
  const { flavors, signature } = parsed.data;
  if (flavors.onnx === undefined) {
    throw new EspalierError("UNSUPPORTED", `The MLflow model \`${name}\` has no ONNX flavour`, {
      at,
      hint: "Export it to ONNX, or evaluate it in a `run:` step and hand the metrics to the gate.",
    });
  }
  const file = flavors.onnx.data;
  if (file.split(/[/\\]/).includes("..")) {
    throw new EspalierError("INVALID_DATA", `The payload of \`${name}\` leads outside of the model`, { at });
  }
  const inputs = columnsSchema.safeParse(readJson(signature?.inputs));
  if (!inputs.success) return { file };
  return {
    file,
    inputs: inputs.data.map(({ name: column, type, required }) => {
      const canBeNull = required === false && (type === "float" || type === "double");
      return { name: column, type, ...(canBeNull ? { nullable: true } : {}) };
    }),
  };
}

/** What does not parse is found to be no MLmodel by the schema. */
function readYaml(text: string): unknown {
  try {
    return parseYaml(text);
  } catch {
    return undefined;
  }
}

/** MLflow writes the signature as JSON text inside the YAML. */
function readJson(text: string | null | undefined): unknown {
  try {
    return JSON.parse(text ?? "null");
  } catch {
    return undefined;
  }
}
