import { expect, test } from "vitest";
import { createWorkshop } from "./workshop.test-support.ts";

const step = { run: "a", outputs: { x: { type: "value" as const } } };

test("a step that another host may have begun is lost, not begun a second time, and tried again if that is asked for", async () => {
  const shop = createWorkshop({ a: () => ({ x: 1 }) }, { host: "here" });
  await shop.record.claimAttempt("attempt-2", "elsewhere");
  const id = await shop.run({ steps: { a: { ...step, retry: { attempts: 2, causes: ["lost"] } } } });
  expect(await shop.finish(id)).toEqual({ a: "succeeded" });
  expect((await shop.record.attempts(id)).map(({ id, state }) => [id, state])).toEqual([
    ["attempt-2", "lost"],
    ["attempt-3", "succeeded"],
  ]);
  expect(shop.started).toEqual(["a"]);

  await shop.record.claimAttempt("attempt-5", "elsewhere");
  const other = await shop.run({ steps: { a: { ...step, cache: false } } });
  expect(await shop.finish(other)).toEqual({ a: "failed" });
  expect((await shop.row(other, "a")).error).toMatchObject({ message: expect.stringContaining("another host") });
  expect(shop.started).toEqual(["a"]);
});

test("the same host goes on with what it claimed before it died", async () => {
  const shop = createWorkshop({ a: () => ({ x: 1 }) }, { host: "here" });
  await shop.record.claimAttempt("attempt-2", "here");
  const id = await shop.run({ steps: { a: step } });
  await shop.crash();
  expect(await shop.finish(id)).toEqual({ a: "succeeded" });
  expect(shop.started).toEqual(["a"]);
});
