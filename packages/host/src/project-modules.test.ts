import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { temporaryProject } from "./testing/temporary-project.ts";

const execute = promisify(execFile);

const files = {
  "pipelines/train.ts": `
import { definePipeline } from "@espalier/core";
import { train } from "../steps/train.ts";
export const pipeline = definePipeline({ name: "train" }, (p) => void p.step("train", { uses: train, inputs: {} }));
`,
  "steps/train.ts": `
import { defineStep } from "@espalier/core";
import { outputs } from "./outputs.ts";
export const train = defineStep(import.meta.url, { outputs }, () => undefined);
`,
  "steps/outputs.ts": 'export const outputs = { first: "file" } as const;\n',
  // A process that lives on, as `espalier up` does, and in which no test runner stands between Node and the modules.
  "load.ts": `
import { rmSync, symlinkSync, writeFileSync } from "node:fs";
import { loadPipelineFile } from "@espalier/host";
const write = (text) => writeFileSync("steps/outputs.ts", text);
const found = [];
const load = async (folder = ".") => {
  const { pipeline, faults } = await loadPipelineFile(process.cwd() + "/" + folder, "pipelines/train.ts");
  found.push(pipeline === undefined ? faults.map(({ code }) => code) : Object.keys(pipeline.steps.train.outputs));
};
await load();
write('export const outputs = { second: "file", third: "file" } as const;');
await load();
await load();
rmSync("steps/outputs.ts");
await load();
write('export const outputs = { fourth: "file" } as const;');
await load();
symlinkSync(".", "link");
await load("link");
console.log(JSON.stringify(found));
`,
};

test("a change in what a pipeline imports is seen without a new process, through links too", async () => {
  const { directory, close } = await temporaryProject(files);
  try {
    const { stdout } = await execute(process.execPath, ["load.ts"], { cwd: directory });
    expect(JSON.parse(stdout)).toEqual([
      ["first"],
      ["second", "third"],
      ["second", "third"],
      ["INVALID_PIPELINE"],
      ["fourth"],
      ["fourth"],
    ]);
  } finally {
    await close();
  }
});
