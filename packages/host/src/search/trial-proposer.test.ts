import { chmodSync, mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ToldTrial, TuneIr } from "@espalier/core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createPythonEnvironments } from "../environments/python-environments.ts";
import { optunaPython } from "./optuna-environment.ts";
import { createTrialProposer, type TrialProposer } from "./trial-proposer.ts";

const tune: TuneIr = {
  search: {
    rate: { log_uniform: [0.001, 1] },
    depth: { integer: [1, 9] },
    share: { uniform: [0, 1] },
    kind: { choice: ["a", 1, true] },
  },
  method: "tpe",
  trials: 40,
  seed: 7,
  objective: { metric: "loss", direction: "minimize" },
};
const signal = new AbortController().signal;

async function searched({ propose }: TrialProposer, trials: number): Promise<ToldTrial[]> {
  const told: ToldTrial[] = [];
  while (told.length < trials) {
    const values = await propose(tune, told, signal);
    const metric = Math.abs(Math.log10(Number(values.rate)) + 2) + Math.abs(Number(values.depth) - 4) / 4;
    told.push({ values, state: "succeeded", metric });
  }
  return told;
}

let python: string | undefined;
const unavailable: string[] = [];
beforeAll(async () => {
  const folder = mkdtempSync(join(tmpdir(), "espalier-optuna-"));
  python = await optunaPython(createPythonEnvironments(), folder).catch((error: Error) => {
    unavailable.push(error.message);
    return undefined;
  });
}, 300_000);

describe("with Optuna", () => {
  const open: TrialProposer[] = [];
  const proposer = (): TrialProposer => {
    const made = createTrialProposer(async () => python ?? "");
    open.push(made);
    return made;
  };
  afterAll(() => Promise.all(open.map((one) => one.close())));

  test("values lie in their ranges, come back with their types, and close in on the optimum", async (context) => {
    if (python === undefined) return context.skip(unavailable.join());
    const told = await searched(proposer(), 40);
    for (const { values } of told) {
      expect(Number(values.rate) >= 0.001 && Number(values.rate) <= 1).toBe(true);
      expect([1, 2, 3, 4, 5, 6, 7, 8, 9]).toContain(values.depth);
      expect(["a", 1, true]).toContain(values.kind);
    }
    expect(new Set(told.map(({ values }) => typeof values.kind))).toEqual(new Set(["string", "number", "boolean"]));
    const mean = (some: ToldTrial[]): number => some.reduce((sum, one) => sum + (one.metric ?? 0), 0) / some.length;
    expect(mean(told.slice(-10))).toBeLessThan(mean(told.slice(0, 10)));
  }, 120_000);

  test("another process proposes the same from the same, also one that follows a killed one", async (context) => {
    if (python === undefined) return context.skip(unavailable.join());
    const told = await searched(proposer(), 13);
    const next: ToldTrial[] = [...told, { values: told[0]?.values ?? {}, state: "running" }];
    const one = proposer();
    const first = await one.propose(tune, next, signal);
    await one.close();
    expect(await one.propose(tune, next, signal)).toEqual(first);
    expect(await proposer().propose(tune, next, signal)).toEqual(first);
    expect(await proposer().propose({ ...tune, seed: 8 }, next, signal)).not.toEqual(first);
  }, 120_000);
});

test("a Python without Optuna is told with the line that installs it", async () => {
  const folder = mkdtempSync(join(tmpdir(), "espalier-python-"));
  const program = join(folder, "python");
  // -S: no package that somebody installed on this machine is seen.
  writeFileSync(program, '#!/bin/sh\nexec python3 -S "$@"\n');
  chmodSync(program, 0o755);
  const { propose } = createTrialProposer(async () => program);
  await expect(propose(tune, [], signal)).rejects.toMatchObject({
    code: "NOT_INSTALLED",
    hint: expect.stringContaining("-m pip install optuna=="),
  });
  const missing = createTrialProposer(async () => join(folder, "absent"));
  await expect(missing.propose(tune, [], signal)).rejects.toMatchObject({ code: "NOT_INSTALLED" });
});

test("a process that dies over every question is told once, not asked for ever", async () => {
  const folder = mkdtempSync(join(tmpdir(), "espalier-python-"));
  const program = join(folder, "python");
  writeFileSync(program, "#!/bin/sh\necho '{}'\nread line\necho broken >&2\nexit 3\n");
  chmodSync(program, 0o755);
  const { propose } = createTrialProposer(async () => program);
  await expect(propose(tune, [], signal)).rejects.toMatchObject({
    code: "STEP_FAILED",
    details: { stderr: "broken\n" },
  });
});
