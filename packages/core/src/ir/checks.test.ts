import { expect, test } from "vitest";
import { z } from "zod";
import type { BuiltinDeclaration } from "../builtin.ts";
import type { CheckOptions } from "./checks/context.ts";
import { checkPipeline } from "./checks.ts";
import { normalizePipeline } from "./normalize.ts";
import type { PipelineIr, StepIr } from "./pipeline.ts";
import { recordBuiltins } from "./record-builtins.ts";

const data = (name: string, declaration: Partial<BuiltinDeclaration>): BuiltinDeclaration => ({
  name,
  version: 1,
  summary: "",
  kind: "data",
  with: z.strictObject({}),
  inputs: {},
  outputs: {},
  cacheable: true,
  ...declaration,
});

const options: CheckOptions = {
  builtins: [
    ...Object.values(recordBuiltins),
    data("sql", {
      inputs: { script: { types: ["file"], required: true } },
      otherInputs: ["parquet", "file", "tree"],
      otherOutputs: ["parquet"],
    }),
    data("evaluate", {
      with: z.strictObject({ target: z.string(), slices: z.array(z.string()).optional() }),
      inputs: { model: { types: ["model"], required: true }, data: { types: ["parquet"], required: true } },
      outputs: { report: "value", predictions: "parquet" },
    }),
    data("convert", { environment: true }),
    data("gate", {
      inputs: {
        candidate: { types: ["model"], required: true },
        champion: { types: ["model"], required: false },
        policy: { types: ["file"], required: true },
      },
      outputs: { model: "model", verdict: "value" },
    }),
  ],
  pathKind: (path) => (path.includes("missing") ? undefined : /\.[a-z]+$/.test(path) ? "file" : "folder"),
  computes: ["train"],
  secrets: ["TOKEN"],
  moduleExports: () => ["train"],
};

const steps: Record<string, StepIr> = {
  ingest: { uses: "dataset", inputs: { file: "./rows.parquet" }, with: { name: "rows" } },
  features: {
    uses: "sql",
    inputs: { rows: "ingest.dataset", script: "./f.sql" },
    params: ["late"],
    outputs: { train: { type: "parquet" }, test: { type: "parquet" } },
  },
  train: {
    run: "python train.py ${{ inputs.train }} ${{ params.rate }} ${{ outputs.model }}",
    source: "./src",
    environment: { python: "./requirements.txt" },
    inputs: { train: "features.train" },
    outputs: { model: { type: "model" }, sizes: { type: "value" } },
    compute: "train",
    secrets: ["TOKEN"],
  },
  gate: { uses: "gate", inputs: { candidate: "train.model", champion: "models:/m@champion", policy: "./gate.yaml" } },
  register: { uses: "register", inputs: { model: "gate.model" }, with: { name: "m" }, when: "train.sizes.size() > 1" },
  deploy: { uses: "deploy", inputs: { model: "register.version" }, with: { endpoint: "e" } },
};

function faultsOf(change: Record<string, StepIr>, rest: Partial<PipelineIr> = {}): string[] {
  const pipeline = {
    ir: 1 as const,
    name: "p",
    params: { late: 15, rate: 0.1 },
    steps: { ...steps, ...change },
    ...rest,
  };
  return checkPipeline(normalizePipeline(pipeline), options).map(
    (fault) => `${fault.code} ${fault.check} ${fault.pointer}`,
  );
}

const { gate, features, train } = steps as { gate: StepIr; features: StepIr; train: StepIr };

test("a good pipeline has no faults", () => {
  expect(faultsOf({})).toEqual([]);
});

const one: [string, Record<string, StepIr>, string][] = [
  ["neither run nor uses", { x: { needs: ["train"] } }, "run-or-uses /steps/x"],
  ["both run and uses", { x: { run: "true", uses: "./a.ts#train" } }, "run-or-uses /steps/x/uses"],
  ["an empty command", { x: { run: " " } }, "run-or-uses /steps/x/run"],
  ["a reserved name", { params: { run: "true" } }, "reserved-name /steps/params"],
  [
    "an environment for a built-in that runs nothing in one",
    {
      x: { uses: "convert", environment: { python: "./requirements.txt" } },
      gate: { ...gate, environment: { python: "./requirements.txt" } },
    },
    "misplaced-key /steps/gate/environment",
  ],
  ["an unknown built-in", { x: { uses: "sqll" } }, "unknown-builtin /steps/x/uses"],
  ["with on a command", { x: { run: "true", with: { a: 1 } } }, "misplaced-key /steps/x/with"],
  ["a source of a built-in", { gate: { ...gate, source: "./src" } }, "misplaced-key /steps/gate/source"],
  ["gate: none elsewhere", { x: { run: "true", gate: "none" } }, "misplaced-key /steps/x/gate"],
  ["no form of reference", { x: { run: "true", inputs: { a: "rows.csv/x" } } }, "reference /steps/x/inputs/a"],
  ["an unknown step", { x: { run: "true", inputs: { a: "tran.model" } } }, "unknown-step /steps/x/inputs/a"],
  ["an unknown output", { x: { run: "true", inputs: { a: "train.modle" } } }, "unknown-output /steps/x/inputs/a"],
  ["an unknown need", { x: { run: "true", needs: ["nobody"] } }, "unknown-step /steps/x/needs/0"],
  [
    "a missing input",
    { gate: { uses: "gate", inputs: { candidate: "train.model" } } },
    "missing-input /steps/gate/inputs",
  ],
  [
    "an unknown input",
    { gate: { ...gate, inputs: { ...gate.inputs, cham: "train.model" } } },
    "unknown-input /steps/gate/inputs/cham",
  ],
  [
    "a wrong type",
    { gate: { ...gate, inputs: { ...gate.inputs, champion: "features.train" } } },
    "input-type /steps/gate/inputs/champion",
  ],
  [
    "a mapped model",
    { train: { ...train, map: { over: "[1, 2]", as: "seed" } } },
    "input-type /steps/gate/inputs/candidate",
  ],
  [
    "a dataset's own type",
    {
      ingest: { uses: "dataset", inputs: { file: "train.sizes" }, with: { name: "r" } },
      train: { ...train, inputs: {}, run: "true" },
    },
    "input-type /steps/ingest/inputs/file",
  ],
  ["no outputs of sql", { x: { uses: "sql", inputs: { script: "./f.sql" } } }, "missing-outputs /steps/x"],
  [
    "an output sql has not",
    { x: { uses: "sql", inputs: { script: "./f.sql" }, outputs: { a: { type: "model" } } } },
    "output-type /steps/x/outputs/a",
  ],
  [
    "a setting that is not known",
    {
      x: {
        uses: "evaluate",
        inputs: { model: "train.model", data: "features.test" },
        with: { target: "y", slice: [] },
      },
    },
    "setting-unknown-key /steps/x/with/slice",
  ],
  [
    "a setting that is missing",
    { x: { uses: "evaluate", inputs: { model: "train.model", data: "features.test" } } },
    "setting-missing-key /steps/x/with/target",
  ],
  [
    "two writers",
    { x: { uses: "dataset", inputs: { file: "./b.csv" }, with: { name: "rows" } } },
    "dataset-writers /steps/x/with/name",
  ],
  ["a name the command has not", { x: { run: "cat ${{ inputs.a }} ${{ inputs.a }}" } }, "command-name /steps/x/run"],
  ["a parameter that is not there", { x: { run: "echo ${{ params.rat }}" } }, "command-name /steps/x/run"],
  ["an unknown parameter", { features: { ...features, params: ["lat"] } }, "unknown-param /steps/features/params/0"],
  ["no checkpoint", { x: { run: "echo ${{ checkpoint.dir }}" } }, "command-name /steps/x/run"],
  ["an expression in a here-document", { x: { run: "cat <<E\n${{ params.rate }}\nE\n" } }, "command /steps/x/run"],
  ["bad CEL", { x: { run: "true", when: "params.rate >" } }, "cel /steps/x/when"],
  ["CEL over an unknown step", { x: { run: "true", when: "tran.sizes == 1" } }, "unknown-step /steps/x/when"],
  ["CEL over a file", { x: { run: "true", when: "features.train == 1" } }, "cel-type /steps/x/when"],
  ["CEL over an unknown parameter", { x: { run: "true", when: "params.nope" } }, "unknown-param /steps/x/when"],
  [
    "a map that hides a parameter",
    { x: { run: "true", map: { over: "train.sizes", as: "rate" } } },
    "map-name /steps/x/map/as",
  ],
  ["an unknown compute", { x: { run: "true", compute: "tarin" } }, "unknown-compute /steps/x/compute"],
  ["an unknown secret", { x: { run: "true", secrets: ["TOKN"] } }, "unknown-secret /steps/x/secrets/0"],
  ["a missing file", { x: { run: "true", inputs: { a: "./missing.csv" } } }, "missing-file /steps/x/inputs/a"],
  ["a missing source", { x: { run: "true", source: "./missing" } }, "missing-file /steps/x/source"],
  [
    "missing requirements",
    { x: { run: "true", environment: { python: "./missing.txt" } } },
    "missing-file /steps/x/environment/python",
  ],
  [
    "a Conda environment",
    { x: { run: "true", environment: { python: "./environment.yml" } } },
    "environment /steps/x/environment/python",
  ],
  [
    "a Dockerfile",
    { x: { run: "true", environment: { dockerfile: "./Dockerfile" } } },
    "environment /steps/x/environment/dockerfile",
  ],
  ["an image", { x: { run: "true", environment: { image: "python:3.12" } } }, "environment /steps/x/environment/image"],
  ["a source outside", { x: { run: "true", source: "../src" } }, "project-path /steps/x/source"],
  ["an export that is not there", { x: { uses: "./a/b.ts#tarin" } }, "unknown-export /steps/x/uses"],
  [
    "a module outside its source",
    { x: { uses: "./a/b.ts#train", source: "./c" } },
    "module-outside-source /steps/x/uses",
  ],
  ["a module without export", { x: { uses: "./a/b.py#train" } }, "typescript-step /steps/x/uses"],
  [
    "an ungated register",
    { register: { ...steps["register"], inputs: { model: "train.model" } } },
    "ungated /steps/register/inputs/model",
  ],
  [
    "a register of a foreign model",
    { register: { ...steps["register"], inputs: { model: "models:/x@y" } } },
    "ungated /steps/register/inputs/model",
  ],
  [
    "an ungated deploy",
    { deploy: { uses: "deploy", inputs: { model: "train.model" }, with: { endpoint: "e" } } },
    "ungated /steps/deploy/inputs/model",
  ],
];

test.each(one)("%s is the one fault", (_, change, expected) => {
  expect(faultsOf(change).map((line) => line.slice(line.indexOf(" ") + 1))).toEqual([expected]);
});

test("what says `gate: none` knowingly, or deploys a registered version, passes", () => {
  expect(faultsOf({ register: { ...steps["register"], inputs: { model: "train.model" }, gate: "none" } })).toEqual([]);
  expect(faultsOf({ deploy: { ...steps["deploy"], inputs: { model: "models:/m@champion" } } })).toEqual([]);
});

test("codes of the error table", () => {
  expect(faultsOf({ deploy: { ...steps["deploy"], inputs: { model: "train.model" } } })[0]).toMatch(/^UNGATED /);
  expect(faultsOf({ x: { run: "true", source: "./missing" } })[0]).toMatch(/^NOT_FOUND /);
});

test("each circle is named once, through inputs, needs and conditions", () => {
  const pipeline = normalizePipeline({
    ir: 1,
    name: "p",
    steps: {
      a: { run: "true", inputs: { x: "c.out" } },
      b: { run: "true", needs: ["a"] },
      c: { run: "true", when: "b.flag", outputs: { out: { type: "file" } } },
      d: { run: "true", needs: ["d"] },
    },
  });
  const faults = checkPipeline(pipeline, options);
  expect(faults.filter((fault) => fault.check === "cycle")).toMatchObject([
    { message: "steps wait for each other in a circle: a -> c -> b -> a", pointer: "/steps/b/needs/0" },
  ]);
  expect(faults.map((fault) => fault.check)).toContain("unknown-step");
});

test.each([
  ["0 3 * * 1", "Europe/Madrid", []],
  ["*/15 0-6 1,15 jan-mar mon-fri", "UTC", []],
  ["0 3 * *", "UTC", ["cron /schedule/cron"]],
  ["61 3 * * 1", "UTC", ["cron /schedule/cron"]],
  ["0 3 * * 6-1", "Europe/Madrit", ["cron /schedule/cron", "timezone /schedule/timezone"]],
])("schedule %s %s", (cron, timezone, expected) => {
  const faults = faultsOf({}, { schedule: { cron, timezone } });
  expect(faults.map((line) => line.slice(line.indexOf(" ") + 1))).toEqual(expected);
});

test("all faults come at once", () => {
  expect(
    faultsOf({ x: { run: "${{ params.a }} ${{ inputs.b }}", needs: ["y"], when: "z.a", source: "./missing" } }),
  ).toHaveLength(5);
});
