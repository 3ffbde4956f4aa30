import type { ColumnType, ModelSignature } from "@espalier/core";

export interface RenderedModel {
  /** Hexadecimal SHA-256 of the model's tree. */
  sha256: string;
  signature: ModelSignature;
  /** Bytes of all files. */
  size: number;
  mlflowVersion: string;
  /** Text of `python/espalier_onnx.py`. */
  loader: string;
}

/**
 * What an ONNX model of ours lacks to be a model folder of MLflow, as texts by path. It says nothing about times, runs or names, so that a
 * model has one digest whoever registers it.
 *
 * MLflow's own loader of ONNX takes a frame only when every output has one value a row; classifiers with probabilities have more, so the
 * folder brings a loader.
 */
export function renderMlmodel(model: RenderedModel): Record<string, string> {
  const { signature, sha256 } = model;
  const document: Yaml = {
    flavors: {
      onnx: { code: null, data: signature.payload, providers: ["CPUExecutionProvider"], onnx_session_options: null },
      python_function: {
        code: "code",
        data: signature.payload,
        env: { virtualenv: "python_env.yaml" },
        loader_module: "espalier_onnx",
      },
    },
    mlflow_version: model.mlflowVersion,
    model_size_bytes: model.size,
    model_uuid: sha256.slice(0, 32),
    signature: {
      inputs: JSON.stringify(
        signature.inputs.map(({ name, type }) => ({ type: accepted[type], name, required: true })),
      ),
      outputs: JSON.stringify(signature.outputs.map(outputColumn)),
      params: null,
    },
  };
  return {
    MLmodel: yaml(document),
    "code/espalier_onnx.py": model.loader,
    "python_env.yaml": yaml({ dependencies: ["-r requirements.txt"] }),
    "requirements.txt": "mlflow\nnumpy\nonnx\nonnxruntime\npandas\n",
  };
}

/**
 * MLflow refuses a wider number than the signature says, and pandas makes all numbers wide; the loader narrows them to what the graph takes.
 */
const accepted: Readonly<Record<ColumnType, string>> = {
  boolean: "boolean",
  integer: "long",
  long: "long",
  float: "double",
  double: "double",
  string: "string",
  datetime: "datetime",
};

function outputColumn({ name, type, shape = [] }: ModelSignature["outputs"][number]): object {
  const isSingle = shape.every((length) => length === 1);
  return isSingle ? { type, name, required: true } : { type: "array", items: { type }, name, required: true };
}

type Yaml = string | number | null | readonly Yaml[] | { readonly [key: string]: Yaml };

/** Texts as JSON has them: every one of those is one of YAML's too. */
function yaml(value: { readonly [key: string]: Yaml }, indent = ""): string {
  return Object.entries(value)
    .map(([key, member]) => {
      if (typeof member !== "object" || member === null || Array.isArray(member)) {
        return `${indent}${key}: ${JSON.stringify(member)}\n`;
      }
      return `${indent}${key}:\n${yaml(member as { readonly [key: string]: Yaml }, `${indent}  `)}`;
    })
    .join("");
}
