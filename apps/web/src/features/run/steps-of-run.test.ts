import type { RunStep } from "@espalier/contract";
import { expect, test } from "vitest";
import { branchWords, stepToOpen, stepViews } from "./steps-of-run.ts";

const step = (name: string, state: RunStep["state"], branch = -1): RunStep => ({ step: name, branch, state });
const graph = { ingest: [], train: ["ingest"], report: ["train"] };

test("branches are with their step, and a step that has not begun is there", () => {
  const views = stepViews({ graph, steps: [step("train", "running"), step("train", "succeeded", 0)] });
  expect([...views.keys()]).toEqual(["ingest", "train", "report"]);
  expect(views.get("train")?.branches).toHaveLength(1);
  expect(views.get("report")?.step).toBeUndefined();
});

test("what failed is opened first, then what waits, then what runs, then the last that is done", () => {
  const open = (...states: RunStep["state"][]) =>
    stepToOpen(
      stepViews({ graph, steps: states.map((state, index) => step(Object.keys(graph)[index] ?? "", state)) }).values(),
    );
  expect(open("succeeded", "failed", "running")).toBe("train");
  expect(open("running", "waiting", "pending")).toBe("train");
  expect(open("cached", "succeeded", "skipped")).toBe("train");
  expect(open()).toBe("ingest");
});

test("branches are counted by state", () => {
  expect(branchWords([step("a", "succeeded", 0), step("a", "failed", 1), step("a", "succeeded", 2)])).toBe(
    "2 succeeded, 1 failed",
  );
});
