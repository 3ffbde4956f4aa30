import { execFile } from "node:child_process";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { entryPoint } from "./entry-points.ts";
import { temporaryProject } from "./testing/temporary-project.ts";

const execute = promisify(execFile);

const steps = `
import { readFile, writeFile } from "node:fs/promises";
import { defineStep } from "@espalier/core";
export const typed = defineStep(
  import.meta.url,
  { inputs: { rows: "file", limits: "value" }, outputs: { copy: "file", report: "value" }, params: { factor: "number" } },
  async ({ inputs, outputs, params, run, emit }) => {
    const text = await readFile(inputs.rows, "utf8");
    await writeFile(outputs.copy, text.repeat(params.factor));
    emit({ type: "metric", key: "characters", value: text.length });
    return { report: { limits: inputs.limits, step: run.step } };
  },
);
export const nothing = defineStep(import.meta.url, { outputs: { report: "value" } }, (() => undefined) as never);
export async function plain({ inputs, outputs }: { inputs: { limits: string }; outputs: { note: string } }) {
  await writeFile(outputs.note, await readFile(inputs.limits, "utf8"));
  return { size: 3 };
}
export function throws() {
  throw new Error("out of luck");
}
`;

test("a step is called by the contract: paths, values, parameters, events", async () => {
  const { directory, close } = await temporaryProject({
    "src/steps.ts": steps,
    "in/rows": "ab",
    "in/limits": '{"low":1}',
  });
  try {
    await mkdir(join(directory, "out"));
    await writeFile(join(directory, "events"), "");
    const run = (target: string) =>
      execute(process.execPath, [entryPoint("typescript-step"), target], {
        cwd: join(directory, "src"),
        env: {
          ESPALIER_INPUTS: join(directory, "in"),
          ESPALIER_OUTPUTS: join(directory, "out"),
          ESPALIER_EVENTS: join(directory, "events"),
          ESPALIER_PARAMS: '{"factor":2}',
          ESPALIER_STEP: "typed",
        },
      });
    const output = (name: string) => readFile(join(directory, "out", name), "utf8");
    await run("./steps.ts#typed");
    expect(await output("copy")).toBe("abab");
    expect(await output("report")).toBe('{"limits":{"low":1},"step":"typed"}');
    expect(JSON.parse(await readFile(join(directory, "events"), "utf8"))).toMatchObject({
      key: "characters",
      value: 2,
    });
    await run("./steps.ts#plain");
    expect([await output("note"), await output("size")]).toEqual(['{"low":1}', "3"]);
    await expect(run("./steps.ts#nothing")).rejects.toMatchObject({
      code: 1,
      stderr: expect.stringContaining("returned no `report`"),
    });
    await expect(run("./steps.ts#throws")).rejects.toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/out of luck[\s\S]*steps\.ts:/),
    });
    await expect(run("./steps.ts#gone")).rejects.toMatchObject({
      stderr: expect.stringContaining("nothing, plain, throws, typed"),
    });
  } finally {
    await close();
  }
});
