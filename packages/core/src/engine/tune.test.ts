import fc from "fast-check";
import { describe, expect, test, vi } from "vitest";
import { EspalierError } from "../errors.ts";
import { checkPipeline } from "../ir/checks.ts";
import type { StepIr, TuneIr } from "../ir/pipeline.ts";
import { trialsOf } from "../ir/trials.ts";
import type { EngineOptions, ToldTrial } from "./options.ts";
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

function shopOf(failing: number | undefined, options: Partial<EngineOptions> = {}) {
  const shop = createWorkshop(
    {
      train: async ({ params, attemptId }) => {
        if (params.depth === failing) return 1;
        const value = -((Number(params.depth) - 2) ** 2) + (params.kind === "b" ? 0.5 : 0);
        await shop.record.appendStepEvents(attemptId, [{ type: "metric", key: "auc", value }], 0, 1);
        return { model: { ...params } };
      },
    },
    options,
  );
  return shop;
}

test("a step's outputs are those of its best trial, and equal trials are cached", async () => {
  const shop = shopOf(undefined);
  const id = await shop.run({ steps: { train: step(grid) } });
  expect(await shop.finish(id)).toEqual({ train: "succeeded" });
  const row = await shop.row(id, "train");
  expect(row.values?.best_trial).toEqual({ trial: 3, values: { depth: 2, kind: "b" }, metric: 0.5 });
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

describe("a tpe search", () => {
  const tpe: TuneIr = { ...grid, method: "tpe", trials: 12, concurrency: 3 };
  /** Stands for Optuna: another value for each thing it is told. */
  const proposeTrial = async (_: TuneIr, told: readonly ToldTrial[]) => {
    asked.push(told);
    const seen = told.map(({ metric = 0, state }) => (state === "running" ? 1 : metric));
    return { depth: 1 + (Math.abs(seen.reduce((sum, value) => sum * 31 + Math.round(value * 2), 7)) % 97), kind: "b" };
  };
  const asked: (readonly ToldTrial[])[] = [];
  const search = { depth: { integer: [1, 97] as [number, number] }, kind: { choice: ["a", "b"] } };
  const tables = async (shop: ReturnType<typeof shopOf>, id: string) => (await shop.row(id, "train")).outputs?.trials;

  test("asks for each trial with what those before it came to, the ones at work apart", async () => {
    const shop = shopOf(undefined, { proposeTrial });
    asked.length = 0;
    const id = await shop.run({ steps: { train: step({ ...tpe, search }) } });
    expect(await shop.finish(id)).toEqual({ train: "succeeded" });
    expect(asked.map((told) => told.length)).toEqual([...Array(12).keys()]);
    expect(asked[7]?.map(({ state }) => state)).toEqual([...Array(5).fill("succeeded"), "running", "running"]);
    expect(asked[7]?.slice(0, 5).every(({ metric }) => Number.isFinite(metric))).toBe(true);
    const again = await shop.run({ steps: { train: step({ ...tpe, search }) } });
    expect(await shop.finish(again)).toEqual({ train: "cached" });
  });

  test("killed anywhere it comes to the same trials, and begins none twice", async () => {
    const whole = shopOf(undefined, { proposeTrial });
    const expected = await whole.run({ steps: { train: step({ ...tpe, search }) } });
    await whole.finish(expected);
    const shop = shopOf(undefined, { proposeTrial });
    const id = await shop.run({ steps: { train: step({ ...tpe, search }) } });
    for (let begun = 0; begun < 12; begun += 4) {
      await vi.waitUntil(() => shop.started.length > begun, { timeout: 60_000, interval: 1 });
      await shop.crash();
    }
    expect(await shop.finish(id)).toEqual({ train: "succeeded" });
    expect(new Set(shop.started).size).toBe(12);
    expect(shop.started).toHaveLength(12);
    expect(await tables(shop, id)).toEqual(await tables(whole, expected));
  });

  test("a trial that fails is told as failed; beyond max_failed no more are asked for", async () => {
    const shop = shopOf(undefined, { proposeTrial: async (_, told) => ({ depth: told.length, kind: "b" }) });
    const failing = shopOf(2, { proposeTrial: async (_, told) => ({ depth: told.length, kind: "b" }) });
    const one = { ...tpe, search, concurrency: 1 };
    const id = await failing.run({ steps: { train: step(one) } });
    expect(await failing.finish(id)).toEqual({ train: "failed" });
    expect(failing.started).toEqual(["train[0]", "train[1]", "train[2]"]);
    const bare = await shop.run({ steps: { train: step(one) } }, { until: ["train"] });
    expect(await shop.finish(bare)).toEqual({ train: "succeeded" });
  });

  test("what the proposer says of itself fails the step, with its words", async () => {
    const missing = new EspalierError("NOT_INSTALLED", "no Optuna", { hint: "pip install optuna" });
    const shop = shopOf(undefined, { proposeTrial: () => Promise.reject(missing) });
    const id = await shop.run({ steps: { train: step({ ...tpe, search }) } });
    expect(await shop.finish(id)).toEqual({ train: "failed" });
    expect((await shop.row(id, "train")).error).toMatchObject({ code: "NOT_INSTALLED", hint: "pip install optuna" });
  });
});

test("NaN is no best, and where all is NaN that is said", async () => {
  const shop = createWorkshop({
    train: async ({ params, attemptId }) => {
      const value = params.depth === 2 ? 0.1 : "NaN";
      await shop.record.appendStepEvents(attemptId, [{ type: "metric", key: "auc", value }], 0, 1);
      return {};
    },
  });
  const id = await shop.run({ steps: { train: step(grid) } });
  expect(await shop.finish(id)).toEqual({ train: "succeeded" });
  expect((await shop.row(id, "train")).values?.best_trial).toMatchObject({ trial: 2 });
  const none = { ...grid, search: { depth: { choice: [7, 8] } } };
  const bad = await shop.run({ steps: { train: step(none) } });
  await shop.finish(bad);
  expect((await shop.row(bad, "train")).reason).toContain("NaN or infinite");
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
