import { expect, test } from "vitest";
import type { StepStatus } from "../ports/step-runner.ts";
import { createWorkshop, type Workshop } from "./workshop.test-support.ts";

const pipeline = { steps: { a: { run: "a", outputs: { x: { type: "value" as const } } } } };

/** A runner elsewhere that ends every attempt with this, and a launcher that told that. */
async function runWith(status: StepStatus, word: StepStatus | undefined, nodes?: number): Promise<[Workshop, string]> {
  const shop = createWorkshop({ a: () => ({ x: 1 }) });
  const { runnerFor, staging } = shop.options;
  shop.options.runnerFor = async (step, run) => {
    const target = await runnerFor(step, run);
    return { ...target, runner: { ...target.runner, sharesFiles: false, wait: async () => status } };
  };
  shop.options.staging = { ...staging, lastWord: async () => word };
  const { a } = pipeline.steps;
  const id = await shop.run(nodes === undefined ? pipeline : { steps: { a: { ...a, nodes } } });
  await shop.finish(id);
  return [shop, id];
}

test("an attempt that its tool forgot has ended as its launcher told", async () => {
  const lost: StepStatus = { state: "lost", message: "no longer known" };
  const [heard, heardId] = await runWith(lost, { state: "exited", exitCode: 0 });
  expect((await heard.row(heardId, "a")).state).toBe("succeeded");
  const [silent, silentId] = await runWith(lost, undefined);
  expect((await silent.row(silentId, "a")).error?.message).toContain("no longer known");
});

test("a launcher that gave up says why; a time limit of the tool is a timeout whatever the launcher says", async () => {
  const gaveUp: StepStatus = { state: "lost", message: "the launcher gave up: wrong digest" };
  const [shop, id] = await runWith({ state: "exited", exitCode: 70 }, gaveUp);
  const { error } = await shop.row(id, "a");
  expect(error?.message).toContain("wrong digest");
  expect(error?.details).toMatchObject({ cause: "lost" });
  const limit: StepStatus = { state: "lost", cause: "timeout", message: "ended at its time limit" };
  const [late, lateId] = await runWith(limit, { state: "cancelled" });
  expect((await late.row(lateId, "a")).error?.details).toMatchObject({ cause: "timeout" });
});

test("of a gang the first member's word says neither that all ended well nor that somebody stopped it", async () => {
  const lost: StepStatus = { state: "lost", message: "the node of member 1 is gone" };
  const [one, oneId] = await runWith(lost, { state: "exited", exitCode: 0 }, 2);
  expect((await one.row(oneId, "a")).error?.message).toContain("member 1 is gone");
  const [other, otherId] = await runWith({ state: "exited", exitCode: 70 }, { state: "cancelled" }, 2);
  expect((await other.row(otherId, "a")).error?.message).toContain("exit code 70");
  const gaveUp: StepStatus = { state: "lost", message: "the launcher gave up: wrong digest" };
  const [first, firstId] = await runWith({ state: "exited", exitCode: 70 }, gaveUp, 2);
  expect((await first.row(firstId, "a")).error?.message).toContain("wrong digest");
});
