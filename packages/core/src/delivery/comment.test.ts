import { expect, test } from "vitest";
import { type CommentFacts, pullRequestComment } from "./comment.ts";

const facts: CommentFacts = {
  pipeline: "train",
  stack: "staging",
  steps: [
    { step: "features", action: "cached", state: "cached" },
    { step: "train", action: "run", reason: "params.rate differs", state: "succeeded" },
  ],
  problems: [],
  against: "01K0",
  metrics: [
    { step: "evaluate", key: "auc", before: 0.64, now: 0.65 },
    { step: "evaluate", key: "rows", before: 10, now: 10 },
  ],
};

test("a comment tells what is cached and which metrics differ, by how much", () => {
  const text = pullRequestComment(facts);
  expect(text).toContain("1 of 2 steps is cached.");
  expect(text).toContain("| evaluate auc | 0.64 | 0.65 | +0.01 |");
  expect(text).not.toContain("rows |");
  expect(text).toContain("| train | run | succeeded | params.rate differs |");
});

test("a failure stands in it with its words, and nothing in it is markup or tells anybody", () => {
  const error = { code: "GATE_REFUSED", message: "auc is <b>lower</b>\n| by 0.1 | @everyone" };
  const text = pullRequestComment({ ...facts, error });
  expect(text).toContain("**GATE_REFUSED**: auc is \\<b\\>lower\\</b\\> \\| by 0.1 \\| \\@everyone");
});
