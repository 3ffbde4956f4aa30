import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import {
  columnModel,
  columnSignature,
  identityModel,
  logisticModel,
  matrixSignature,
  writeModelFolder,
} from "@espalier/conformance";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { temporaryFolder } from "../testing/running-server.ts";
import { type OnnxModelOptions, openOnnxModel } from "./onnx-model.ts";

const options: OnnxModelOptions = { maxBatchRows: 256, maxQueueRequests: 1024 };

describe("ONNX models that are not served", () => {
  let folder: Awaited<ReturnType<typeof temporaryFolder>>;
  beforeAll(async () => {
    folder = await temporaryFolder();
  });
  afterAll(() => folder.remove());
  const signature = matrixSignature(["a", "b"]);
  const refusal = (at: string) =>
    openOnnxModel(at, options).then(
      () => undefined,
      (error: unknown) => error,
    );

  it.each<[string, string, Uint8Array, object]>([
    ["NOT_FOUND", "names the payload", logisticModel([1, 1], 0), { ...signature, payload: "other.onnx" }],
    [
      "INVALID_DATA",
      "outside the model folder",
      logisticModel([1, 1], 0),
      { ...signature, payload: "../outside.onnx" },
    ],
    ["INVALID_DATA", "can not load the model", Buffer.from("nonsense"), signature],
    ["INVALID_DATA", "empty", Buffer.alloc(0), signature],
    ["UNSUPPORTED", "Python pickle", Buffer.from([0x80, 0x04, 0x95, 0]), signature],
    ["INVALID_DATA", "not a signature", logisticModel([1, 1], 0), { ...signature, inputs: [] }],
    [
      "SIGNATURE_MISMATCH",
      "takes 2 columns, the signature names 3",
      logisticModel([1, 1], 0),
      matrixSignature(["a", "b", "c"]),
    ],
    [
      "SIGNATURE_MISMATCH",
      'no output "label"',
      logisticModel([1, 1], 0),
      { ...signature, outputs: [{ name: "label", type: "long" }] },
    ],
    [
      "SIGNATURE_MISMATCH",
      "is string in the signature",
      logisticModel([1], 0),
      { ...matrixSignature(["a"]), inputs: [{ name: "a", type: "string" }] },
    ],
    [
      "SIGNATURE_MISMATCH",
      'no input "colour"',
      columnModel(),
      { ...columnSignature, inputs: [...columnSignature.inputs, { name: "colour", type: "string" }] },
    ],
    [
      "SIGNATURE_MISMATCH",
      'says [2,2] for "image", the graph takes [2,3]',
      identityModel([{ name: "image", type: "float", shape: [2, 3] }]),
      {
        ...signature,
        inputs: [{ name: "image", type: "float", shape: [2, 2] }],
        outputs: [{ name: "image_out", type: "float" }],
      },
    ],
    [
      "SIGNATURE_MISMATCH",
      "which is no matrix of columns",
      identityModel([{ name: "image", type: "float", shape: [2, 3] }]),
      { ...signature, outputs: [{ name: "image_out", type: "float" }] },
    ],
  ])("%s: %s", async (code, message, bytes, given) => {
    const at = join(folder.path, `${Math.random()}`);
    await writeFile(join(folder.path, "outside.onnx"), logisticModel([1, 1], 0));
    await writeModelFolder(at, bytes, given as typeof signature);
    expect(await refusal(at)).toMatchObject({ code, message: expect.stringContaining(message) });
  });

  it("a file that is no model is refused by a thread as it is inline", async () => {
    const at = await writeModelFolder(join(folder.path, "nonsense"), Buffer.from("nonsense"), signature);
    await expect(openOnnxModel(at, { ...options, runtime: "threads" })).rejects.toMatchObject({
      code: "INVALID_DATA",
      message: expect.stringContaining("can not load the model"),
    });
  });

  it("an MLmodel folder needs an ONNX flavour; with one it is served by its own signature", async () => {
    const at = await writeModelFolder(join(folder.path, "mlflow"), logisticModel([1, 1], 0), signature);
    await rm(join(at, "signature.json"));
    const describe = (text: string) => writeFile(join(at, "MLmodel"), text);
    await describe("flavors:\n  python_function:\n    loader_module: mlflow.sklearn\n");
    expect(await refusal(at)).toMatchObject({
      code: "UNSUPPORTED",
      message: expect.stringContaining("no ONNX flavour"),
    });
    await writeFile(join(folder.path, "outside.onnx"), logisticModel([1, 1], 0));
    await describe("flavors:\n  onnx:\n    data: ../outside.onnx\n");
    expect(await refusal(at)).toMatchObject({
      code: "INVALID_DATA",
      message: expect.stringContaining("outside the model folder"),
    });
    const inputs = JSON.stringify([
      { name: "a", type: "double", required: false },
      { name: "b", type: "double", required: true },
    ]);
    await describe(`flavors:\n  onnx:\n    data: model.onnx\nsignature:\n  inputs: '${inputs}'\n`);
    const model = await openOnnxModel(at, options);
    expect(model.signature.inputs).toEqual([
      { name: "a", type: "double", nullable: true },
      { name: "b", type: "double" },
    ]);
    expect(model.signature.outputs).toEqual([{ name: "probability", type: "float", shape: [1] }]);
    await model.release();
    await describe("flavors:\n  onnx:\n    data: model.onnx\n");
    const derived = await openOnnxModel(at, options);
    expect(derived.signature.inputs.map(({ name }) => name)).toEqual(["input_0", "input_1"]);
    await derived.release();
  });
});
