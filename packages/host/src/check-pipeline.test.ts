import { builtinOutputs, recordBuiltins } from "@espalier/core";
import { dataBuiltins } from "@espalier/embedded";
import { expect, test } from "vitest";
import { checkPipelineFile } from "./check-pipeline.ts";
import { findPipeline } from "./pipelines.ts";
import { loadProject } from "./project.ts";
import { temporaryProject } from "./testing/temporary-project.ts";

const builtins = [...dataBuiltins, ...Object.values(recordBuiltins)];

test("faults of YAML, shape, meaning and stack come together, in the order of the file", async () => {
  const { directory, close } = await temporaryProject({
    "espalier.yaml": "project: demo\nstacks:\n  laptop: { compute: { train: { uses: proces } } }\n",
    "steps/a.ts": "export const a = () => 1;\n",
    "pipelines/train.yaml": `name: train
steps:
  load:
    uses: dataset
    inputs: { file: ./gone.csv }
    with: { name: rows }
  typed: { uses: "./steps/a.ts#b" }
  train:
    rnu: python train.py
    inputs: { rows: load.datset }
    outputs: { model: model }
    compute: tarin
    timeout: soon
  register:
    uses: register
    inputs: { model: train.model }
    with: { name: m }
`,
  });
  try {
    const project = await loadProject(directory);
    const parsed = await findPipeline(directory, "train");
    const faults = await checkPipelineFile(project, parsed, { builtins, stack: "laptop" });
    expect(faults.map((fault) => `${fault.at} ${fault.code} ${fault.message}`)).toEqual([
      "espalier.yaml:3:33 UNSUPPORTED There is no tool `proces` for compute",
      "pipelines/train.yaml:5:15 NOT_FOUND there is no `./gone.csv` in the project",
      "pipelines/train.yaml:7:12 INVALID_PIPELINE ./steps/a.ts exports no step `b`",
      "pipelines/train.yaml:9:5 INVALID_PIPELINE unknown key `rnu`",
      "pipelines/train.yaml:10:15 INVALID_PIPELINE the step load has no output `datset`",
      "pipelines/train.yaml:12:5 INVALID_CONFIG the stack has no compute `tarin`",
      expect.stringContaining("pipelines/train.yaml:13:5 INVALID_PIPELINE `steps.train.timeout`"),
      "pipelines/train.yaml:16:15 UNGATED no gate has let `train.model` through",
    ]);
  } finally {
    await close();
  }
});

test("the compiler's table of built-in outputs is that of the declarations", () => {
  const declared = Object.fromEntries(builtins.map((builtin) => [builtin.name, builtin.outputs]));
  expect(builtinOutputs).toEqual(declared);
});
