import { expect, test } from "vitest";
import { compileDefinition, definePipeline } from "./define-pipeline.ts";
import { defineStep } from "./define-step.ts";

const train = defineStep(
  import.meta.url,
  {
    inputs: { rows: "parquet", limits: "value" },
    outputs: { model: { type: "model", determinism: "exact" }, report: "value" },
    params: { rate: "number" },
  },
  async ({ inputs, outputs, params }) => {
    const path: string = inputs.rows;
    const rate: number = params.rate;
    // @ts-expect-error a value output is returned, it has no path
    outputs.report;
    // @ts-expect-error there is no such input
    inputs.row;
    return { report: { path, rate, to: outputs.model } };
  },
);

// @ts-expect-error the value outputs must be returned
defineStep(import.meta.url, { outputs: { report: "value" } }, async () => ({}));

test("the compiler knows outputs, their types and parameters; what it refuses is refused", () => {
  const definition = definePipeline({ name: "p", params: { rate: 0.1, mode: "full" } }, (p) => {
    const ingest = p.step("ingest", { uses: "dataset", inputs: { file: "./rows.parquet" }, with: { name: "rows" } });
    const split = p.step("split", {
      run: "split",
      inputs: { rows: ingest.outputs.dataset },
      outputs: { train: "parquet", limits: { type: "value", determinism: "exact" } },
    });
    // @ts-expect-error the step has no such output
    split.outputs.tran;
    // @ts-expect-error the built-in has no such output
    ingest.outputs.rows;
    const trained = p.step("train", {
      uses: train,
      inputs: { rows: split.outputs.train, limits: split.outputs.limits },
    });
    // @ts-expect-error a value is no Parquet file
    p.step("wrong_type", { uses: train, inputs: { rows: split.outputs.limits, limits: split.outputs.limits } });
    // @ts-expect-error an input is missing
    p.step("missing", { uses: train, inputs: { rows: split.outputs.train } });
    // @ts-expect-error the pipeline has no such parameter
    p.step("params", { run: "true", params: ["rat"] });
    // @ts-expect-error there is no such built-in
    p.step("builtin", { uses: "sqll" });
    // @ts-expect-error a literal is no reference
    p.step("literal", { run: "true", inputs: { a: "rows.csv" } });
    const gate = p.step("gate", {
      uses: "gate",
      inputs: { candidate: trained.outputs.model, policy: "./gate.yaml", champion: "models:/p@champion" },
    });
    p.step("register", {
      uses: "register",
      inputs: { model: gate.outputs.model },
      with: { name: "p" },
      needs: [ingest],
    });
  });
  const { steps } = compileDefinition(definition, () => "./steps/train.ts#train");
  expect(steps["train"]).toEqual({
    uses: "./steps/train.ts#train",
    source: "./steps",
    inputs: { rows: "split.train", limits: "split.limits" },
    outputs: { model: { type: "model", determinism: "exact" }, report: { type: "value" } },
    params: ["rate"],
  });
  expect(steps["register"]).toEqual({
    uses: "register",
    inputs: { model: "gate.model" },
    with: { name: "p" },
    needs: ["ingest"],
  });
});

test("a pipeline without a step's parameter does not compile", () => {
  definePipeline({ name: "p", params: { rate: "fast" } }, (p) => {
    const rows = p.step("rows", { run: "true", outputs: { rows: "parquet", limits: "value" } });
    // @ts-expect-error the step needs a number named rate
    p.step("train", { uses: train, inputs: { rows: rows.outputs.rows, limits: rows.outputs.limits } });
  });
});

test("a dataset is of the type of its file", () => {
  const count = defineStep(import.meta.url, { inputs: { lines: "file" }, outputs: { rows: "tree" } }, () => undefined);
  definePipeline({ name: "p" }, (p) => {
    const text = p.step("text", { uses: "dataset", inputs: { file: "./lines.txt" }, with: { name: "text" } });
    const table = p.step("table", { uses: "dataset", inputs: { file: "./rows.parquet" }, with: { name: "table" } });
    const counted = p.step("count", { uses: count, inputs: { lines: text.outputs.dataset } });
    const made = p.step("made", { uses: "dataset", inputs: { file: counted.outputs.rows }, with: { name: "made" } });
    // @ts-expect-error a folder is no file
    p.step("again", { uses: count, inputs: { lines: made.outputs.dataset } });
    expect([text, table, made].map((step) => step.outputs.dataset.type)).toEqual(["file", "parquet", "tree"]);
  });
});

test("two steps of one name are refused", () => {
  const build = (): unknown =>
    definePipeline({ name: "p" }, (p) => {
      p.step("a", { run: "true" });
      p.step("a", { run: "false" });
    });
  expect(build).toThrow(expect.objectContaining({ code: "INVALID_PIPELINE" }));
});

test("a search in TypeScript is the same search in YAML, and its outputs are typed", () => {
  const objective = { metric: "auc", direction: "maximize" } as const;
  const definition = definePipeline({ name: "p" }, (p) => {
    const train = p.step("train", {
      run: "train --rate ${{ trial.rate }}",
      outputs: { model: "file" },
      tune: {
        search: { rate: { logUniform: [0.001, 0.1] }, depth: { integer: [1, 3] } },
        ...{ method: "tpe", trials: 9, maxFailed: 2, stopEarly: { after: 4 }, objective },
      },
    });
    p.step("report", {
      run: "report",
      inputs: { model: train.outputs.model, table: train.outputs.trials, best: train.outputs.best_trial },
    });
    const plain = p.step("plain", { run: "plain" });
    // @ts-expect-error a step that does not search has no trials
    plain.outputs.trials;
  });
  const { train, report } = compileDefinition(definition).steps;
  expect(train?.tune).toEqual({
    search: { rate: { log_uniform: [0.001, 0.1] }, depth: { integer: [1, 3] } },
    ...{ method: "tpe", trials: 9, max_failed: 2, stop_early: { after: 4 }, objective },
  });
  expect(report?.inputs).toEqual({ model: "train.model", table: "train.trials", best: "train.best_trial" });
});
