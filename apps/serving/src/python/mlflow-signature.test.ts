import { describe, expect, it } from "vitest";
import { pythonInputs, pythonOutputs } from "./mlflow-signature.ts";

const at = "MLmodel";
const json = (value: unknown) => JSON.stringify(value);
const tensor = (dtype: string, shape: number[], name?: string) => ({
  type: "tensor",
  "tensor-spec": { dtype, shape },
  ...(name === undefined ? {} : { name }),
});

describe("MLflow's signature", () => {
  it("of columns is a table; what MLflow lets be missing may be null", () => {
    const columns = [
      { type: "double", name: "a", required: true },
      { type: "string", name: "b", required: false },
      { type: "long", name: "c", required: false },
      { type: "datetime" },
    ];
    expect(pythonInputs(json(columns), at)).toEqual({
      isMatrix: false,
      columns: [
        { name: "a", type: "double" },
        { name: "b", type: "string", nullable: true },
        { name: "c", type: "long" },
        { name: "3", type: "datetime" },
      ],
    });
  });

  it("of one unnamed tensor is a matrix of columns, of named ones a column with a shape each", () => {
    expect(pythonInputs(json([tensor("float32", [-1, 2])]), at)).toEqual({
      isMatrix: true,
      columns: [
        { name: "0", type: "float", nullable: true },
        { name: "1", type: "float", nullable: true },
      ],
    });
    expect(pythonInputs(json([tensor("int64", [-1])]), at)?.columns).toEqual([{ name: "0", type: "long" }]);
    expect(pythonInputs(json([tensor("uint8", [-1, 28, 28], "image"), tensor("str", [-1], "tag")]), at)).toEqual({
      isMatrix: false,
      columns: [
        { name: "image", type: "integer", shape: [28, 28] },
        { name: "tag", type: "string" },
      ],
    });
  });

  it.each([
    ["none", undefined],
    ["arrays of any length", json([{ type: "array", items: { type: "double" }, name: "a" }])],
    ["objects", json([{ type: "object", properties: {}, name: "a" }])],
    ["bytes", json([{ type: "binary", name: "a" }])],
    ["a tensor of any width", json([tensor("float64", [-1, -1])])],
    ["complex numbers", json([tensor("complex128", [-1, 2])])],
    ["nothing at all", "[]"],
  ])("that is no table of plain values is left to MLflow: %s", (_name, text) => {
    expect(pythonInputs(text, at)).toBeUndefined();
  });

  it("that is not JSON is damaged", () => {
    expect(() => pythonInputs("{", at)).toThrow("not JSON");
    expect(() => pythonOutputs("{", at)).toThrow("not JSON");
  });

  it("gives outputs their names and shapes", () => {
    expect(pythonOutputs(json([tensor("float64", [-1, 3])]), at)).toEqual([
      { name: "predictions", type: "double", shape: [3] },
    ]);
    expect(pythonOutputs(json([{ type: "double", name: "p" }, { type: "string" }]), at)).toEqual([
      { name: "p", type: "double" },
      { name: "output-1", type: "string" },
    ]);
    expect(pythonOutputs(undefined, at)).toEqual([]);
  });
});
