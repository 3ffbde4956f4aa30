import type { ModelSignature } from "@espalier/core";
import { expect, test } from "vitest";
import { renderMlmodel } from "./render-mlmodel.ts";

const signature: ModelSignature = {
  format: "onnx",
  payload: "model.onnx",
  inputs: [
    { name: 'a "quoted": name', type: "float", nullable: true },
    { name: "count", type: "integer" },
  ],
  outputs: [
    { name: "label", type: "long" },
    { name: "probabilities", type: "float", shape: [2] },
    { name: "margin", type: "double", shape: [1] },
  ],
};
const model = { sha256: "ab".repeat(32), signature, size: 7, mlflowVersion: "3.0.0", loader: "# loader\n" };

test("a model folder of MLflow's says what the graph takes, as wide as pandas makes it, and what it gives", () => {
  const files = renderMlmodel(model);
  expect(files["MLmodel"]).toBe(`flavors:
  onnx:
    code: null
    data: "model.onnx"
    providers: ["CPUExecutionProvider"]
    onnx_session_options: null
  python_function:
    code: "code"
    data: "model.onnx"
    env:
      virtualenv: "python_env.yaml"
    loader_module: "espalier_onnx"
mlflow_version: "3.0.0"
model_size_bytes: 7
model_uuid: "${"ab".repeat(16)}"
signature:
  inputs: ${JSON.stringify('[{"type":"double","name":"a \\"quoted\\": name","required":true},{"type":"long","name":"count","required":true}]')}
  outputs: ${JSON.stringify('[{"type":"long","name":"label","required":true},{"type":"array","items":{"type":"float"},"name":"probabilities","required":true},{"type":"double","name":"margin","required":true}]')}
  params: null
`);
  expect(files["code/espalier_onnx.py"]).toBe("# loader\n");
  expect(files["python_env.yaml"]).toBe('dependencies: ["-r requirements.txt"]\n');
  expect(files["requirements.txt"]?.split("\n")).toContain("onnxruntime");
  expect(renderMlmodel(model)).toEqual(files);
});
