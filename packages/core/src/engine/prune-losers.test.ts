import { expect, test, vi } from "vitest";
import type { StepIr, TuneIr } from "../ir/pipeline.ts";
import { createWorkshop } from "./workshop.test-support.ts";

const tune: TuneIr = {
  search: { quality: { choice: [5, 1, 9, 2, 8, 3] } },
  method: "grid",
  objective: { metric: "auc", direction: "maximize" },
  stop_early: { after: 1, factor: 2 },
};
const step = (of: TuneIr = tune): StepIr => ({
  run: "t ${{ trial.quality }}",
  tune: of,
  outputs: { model: { type: "file" } },
});

/** Trials that report `quality` at each of eight steps, some looks of the pruner apart, and then end. */
function longTrials(steps = 8, told?: (attemptId: string, at: number) => void) {
  const shop = createWorkshop({
    train: async ({ params, attemptId }) => {
      for (let at = 0; at < steps; at++) {
        const event = { type: "metric" as const, key: "auc", value: Number(params.quality), step: at };
        await shop.record.appendStepEvents(attemptId, [event], at, at + 1);
        told?.(attemptId, at);
        await new Promise((resolve) => setTimeout(resolve, 40));
      }
      return { model: { ...params } };
    },
  });
  return shop;
}

const statesOf = async (shop: ReturnType<typeof longTrials>, id: string) =>
  (await shop.record.steps(id)).filter((row) => row.branch >= 0).map((row) => row.state);

test("losers are stopped, told apart from the failed and the cancelled, and the best of the rest wins", async () => {
  const shop = longTrials();
  const id = await shop.run({ steps: { train: step() } });
  expect(await shop.finish(id)).toEqual({ train: "succeeded" });
  const states = await statesOf(shop, id);
  expect(states[2]).toBe("succeeded");
  expect(states.filter((state) => state === "pruned").length).toBeGreaterThanOrEqual(3);
  expect(states.every((state) => state === "pruned" || state === "succeeded")).toBe(true);
  const lost = await shop.row(id, "train", 1);
  expect(lost.reason).toMatch(/^auc 1 at step \d is not among the best of 6$/);
  const attempts = await shop.record.attempts(id);
  expect(attempts.find((attempt) => attempt.branch === 1)).toMatchObject({ state: "pruned", message: lost.reason });
  const row = await shop.row(id, "train");
  expect(row.values?.best_trial).toMatchObject({ values: { quality: 9 }, trial: 2 });
  expect(row.reason).toMatch(/, \d stopped early$/);
});

test("after a crash what was stopped stays so, and no trial begins again", async () => {
  const shop = longTrials(20);
  const id = await shop.run({ steps: { train: step() } });
  await vi.waitUntil(async () => (await statesOf(shop, id)).includes("pruned"), { timeout: 60_000, interval: 5 });
  const before = await statesOf(shop, id);
  await shop.crash();
  expect(await shop.finish(id)).toEqual({ train: "succeeded" });
  const after = await statesOf(shop, id);
  for (const [branch, state] of before.entries()) if (state === "pruned") expect(after[branch]).toBe("pruned");
  expect(shop.started).toHaveLength(6);
});

test("a resumed run runs nothing again that was pruned", async () => {
  const shop = longTrials(20);
  const id = await shop.run({ steps: { train: step() } });
  await vi.waitUntil(async () => (await statesOf(shop, id)).includes("pruned"), { timeout: 60_000, interval: 5 });
  await shop.record.requestCancel(id);
  shop.engine.wake(id);
  expect(await shop.finish(id)).toEqual({ train: "cancelled" });
  const before = await statesOf(shop, id);
  expect(before).toContain("cancelled");
  const begun = shop.started.length;
  const resumed = await shop.run({ steps: { train: step() } }, { resumes: id });
  expect(await shop.finish(resumed)).toEqual({ train: "succeeded" });
  const pruned = [...before.entries()].filter(([, state]) => state === "pruned").map(([branch]) => branch);
  for (const branch of pruned) {
    const row = await shop.row(resumed, "train", branch);
    expect(row).toMatchObject({ state: "pruned", reason: expect.stringContaining(`pruned in run ${id}: auc`) });
    expect(shop.started.slice(begun)).not.toContain(`train[${branch}]`);
  }
});

test("trials that report no steps are all seen to their end", async () => {
  const shop = createWorkshop({
    train: async ({ params, attemptId }) => {
      const event = { type: "metric" as const, key: "auc", value: Number(params.quality) };
      await shop.record.appendStepEvents(attemptId, [event], 0, 1);
      await new Promise((resolve) => setTimeout(resolve, 100));
      return {};
    },
  });
  const id = await shop.run({ steps: { train: step() } });
  expect(await shop.finish(id)).toEqual({ train: "succeeded" });
  expect((await statesOf(shop, id)).every((state) => state === "succeeded")).toBe(true);
});
