import { expect, test } from "vitest";
import type { ArtifactRef } from "../artifact.ts";
import { type Digest, digestOfJson } from "../canonical-json.ts";
import { normalizePipeline } from "./normalize.ts";
import type { PipelineIr } from "./pipeline.ts";
import { type KnownResult, type PlannableRun, planRun } from "./plan.ts";
import { recordBuiltins } from "./record-builtins.ts";

const ref = (type: ArtifactRef["type"], content: string): ArtifactRef => ({
  type,
  digest: digestOfJson(content),
  size: 1,
});

const pipeline: PipelineIr = normalizePipeline({
  ir: 1,
  name: "p",
  params: { rate: 0.1, mode: "full" },
  steps: {
    split: {
      run: "split ${{ inputs.rows }}",
      inputs: { rows: "./rows.csv" },
      outputs: { parts: { type: "value" }, train: { type: "file" } },
    },
    train: {
      run: "train ${{ inputs.t }} ${{ params.rate }}",
      inputs: { t: "split.train" },
      outputs: { model: { type: "model" } },
    },
    each: {
      run: "part ${{ params.part }}",
      map: { over: "split.parts", as: "part" },
      outputs: { n: { type: "value" } },
    },
    full: { run: "true", when: 'params.mode == "full" && split.parts.size() > 1', needs: ["train"] },
    after: { run: "true", needs: ["full"] },
    deploy: { uses: "deploy", inputs: { model: "models:/m@champion" }, with: { endpoint: "e" } },
  },
});

const outputs: Record<string, KnownResult["outputs"]> = {
  split: { parts: ref("value", "parts"), train: ref("file", "train") },
  train: { model: ref("model", "model") },
};

/** A record that remembers the keys of a plan once "run". */
function record() {
  const known = new Map<Digest, KnownResult>();
  const plan = (change: Partial<PlannableRun> = {}) =>
    planRun(
      {
        pipeline,
        params: {},
        options: {},
        resolved: { "./rows.csv": ref("file", "rows"), "models:/m@champion": ref("model", "champion") },
        snapshots: {},
        ...change,
      },
      { builtins: recordBuiltins, platform: "linux-x64", lookup: async (key) => known.get(key) },
    );
  const remember = async (): Promise<void> => {
    for (const { step, cacheKey } of (await plan()).steps) {
      if (cacheKey !== undefined) {
        known.set(cacheKey, { outputs: outputs[step] ?? {}, values: step === "split" ? { parts: ["a", "b"] } : {} });
      }
    }
  };
  const actions = async (change: Partial<PlannableRun> = {}): Promise<Record<string, string>> =>
    Object.fromEntries((await plan(change)).steps.map(({ step, action }) => [step, action]));
  return { plan, remember, actions };
}

test("at first all runs, and what outputs decide is unknown", async () => {
  const { plan } = record();
  const { steps, problems } = await plan();
  expect(problems).toEqual([]);
  expect(steps.map(({ step, action, reason }) => [step, action, reason])).toEqual([
    ["split", "run", undefined],
    ["deploy", "run", "`deploy` looks every time"],
    ["train", "run", "`t` comes from split, which runs"],
    ["each", "unknown", "`map.over` reads split, which runs first"],
    ["full", "unknown", "`when:` reads split, which runs first"],
    ["after", "run", undefined],
  ]);
});

test("what ran before is cached, and a parameter re-runs only what depends on it", async () => {
  const { remember, actions, plan } = record();
  await remember();
  await remember();
  expect(await actions()).toMatchObject({
    split: "cached",
    train: "cached",
    full: "cached",
    each: "run",
    deploy: "run",
  });
  expect((await plan()).steps.find(({ step }) => step === "each")?.reason).toBe("2 of 2 branches");
  expect(await actions({ params: { rate: 0.2 } })).toMatchObject({ split: "cached", train: "run", full: "cached" });
  expect(await actions({ params: { mode: "small" } })).toMatchObject({ train: "cached", full: "skip", after: "skip" });
});

test("--force, --only and --from", async () => {
  const { remember, actions, plan } = record();
  expect((await plan({ options: { only: ["train"] } })).problems).toMatchObject([
    { code: "NOT_FOUND", pointer: "/steps/split" },
  ]);
  await remember();
  await remember();
  expect(await actions({ options: { force: true } })).toMatchObject({ split: "run", train: "run" });
  expect(await actions({ options: { only: ["train"] } })).toMatchObject({
    split: "cached",
    train: "run",
    full: "skip",
    deploy: "skip",
  });
  expect(await actions({ options: { from: ["train"] } })).toMatchObject({
    split: "cached",
    train: "run",
    full: "run",
    each: "skip",
  });
  await expect(plan({ options: { only: ["tarin"] } })).rejects.toMatchObject({ code: "INVALID_INPUT" });
});
