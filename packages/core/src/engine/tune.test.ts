import fc from "fast-check";
import { expect, test } from "vitest";
import { checkPipeline } from "../ir/checks.ts";
import type { StepIr, TuneIr } from "../ir/pipeline.ts";
import { trialsOf } from "../ir/trials.ts";
import { createWorkshop } from "./workshop.test-support.ts";

const objective = { metric: "auc", direction: "maximize" as const };
const grid: TuneIr = {
  search: { depth: { integer: [1, 3] }, kind: { choice: ["a", "b"] } },
  method: "grid",
  objective,
};
const step = (tune: TuneIr): StepIr => ({
  run: "t ${{ trial.depth }}",
  tune,
  outputs: { model: { type: "file" } },
});

function shopOf(failing: number | undefined) {
  const shop = createWorkshop({
    train: async ({ params, attemptId }) => {
      if (params.depth === failing) return 1;
      const value = -((Number(params.depth) - 2) ** 2) + (params.kind === "b" ? 0.5 : 0);
      await shop.record.appendStepEvents(attemptId, [{ type: "metric", key: "auc", value }], 0, 1);
      return { model: { ...params } };
    },
  });
  return shop;
}

test("a step's outputs are those of its best trial, and equal trials are cached", async () => {
  const shop = shopOf(undefined);
  const id = await shop.run({ steps: { train: step(grid) } });
  expect(await shop.finish(id)).toEqual({ train: "succeeded" });
  const row = await shop.row(id, "train");
  expect(row.values?.trials).toMatchObject({ best: { depth: 2, kind: "b" }, trial: 3 });
  expect(row.outputs?.model).toEqual((await shop.row(id, "train", 3)).outputs?.model);
  const again = await shop.run({ steps: { train: step(grid) } });
  expect(await shop.finish(again)).toEqual({ train: "cached" });
  expect(shop.started).toHaveLength(6);
});

test("failed trials fail the step beyond max_failed; after a crash no trial runs twice", async () => {
  const refused = shopOf(1);
  expect(await refused.finish(await refused.run({ steps: { train: step(grid) } }))).toEqual({ train: "failed" });
  const shop = shopOf(1);
  const id = await shop.run({ steps: { train: step({ ...grid, max_failed: 2, concurrency: 1 }) } });
  await shop.crash();
  expect(await shop.finish(id)).toEqual({ train: "succeeded" });
  expect(new Set(shop.started).size).toBe(shop.started.length);
});

test("a metric that no trial reports is told with its place", async () => {
  const shop = shopOf(undefined);
  const missing = { ...grid, objective: { ...objective, metric: "loss" } };
  const id = await shop.run({ steps: { train: step(missing) } });
  await shop.finish(id);
  expect((await shop.row(id, "train")).error).toMatchObject({ at: "steps.train.tune.objective.metric" });
});

test("random trials lie in their ranges, and more trials begin with the same ones", () => {
  fc.assert(
    fc.property(fc.integer(), fc.integer({ min: 1, max: 40 }), (seed, trials) => {
      const search = {
        depth: { integer: [2, 8] as [number, number] },
        rate: { log_uniform: [0.001, 0.3] as [number, number] },
      };
      const tune: TuneIr = { search, method: "random", trials, seed, objective };
      const made = trialsOf(tune);
      for (const { depth, rate } of made) {
        expect([2, 3, 4, 5, 6, 7, 8]).toContain(depth);
        expect(Number(rate) >= 0.001 && Number(rate) <= 0.3).toBe(true);
      }
      expect(trialsOf({ ...tune, trials: trials + 3 }).slice(0, trials)).toEqual(made);
    }),
  );
});

test("searches that could not begin are refused where they are written", () => {
  const faultsOf = (tune: Partial<TuneIr>) =>
    checkPipeline(
      { ir: 1, name: "t", params: { kind: 1 }, steps: { train: step({ ...grid, ...tune }) } },
      { builtins: [] },
    ).map(({ pointer }) => pointer);
  expect(faultsOf({})).toEqual(["/steps/train/tune/search/kind"]);
  expect(faultsOf({ search: { depth: { integer: [0, 5000] } } })).toEqual(["/steps/train/tune/search"]);
  expect(faultsOf({ search: { depth: { uniform: [0, 1] } } })).toEqual(["/steps/train/tune/search/depth"]);
  expect(faultsOf({ search: { depth: { integer: [3, 2] } }, method: "random" })).toEqual([
    "/steps/train/tune/search/depth",
    "/steps/train/tune/trials",
  ]);
  expect(faultsOf({ search: {} })).toContain("/steps/train/tune/search");
});
