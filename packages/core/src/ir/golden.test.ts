import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { type CacheKeyFacts, cacheKey, describeKeyPartChange, diffKeyParts } from "./cache-key.ts";
import { normalizePipeline, pipelineDigest } from "./normalize.ts";
import { type PipelineIr, pipelineSchema } from "./pipeline.ts";

const read = (name: string): unknown =>
  JSON.parse(readFileSync(new URL(`../../golden/${name}`, import.meta.url), "utf8"));

const pipelines = read("ir-digest.json") as { name: string; pipeline: PipelineIr; equal: unknown[]; digest: string }[];
const keys = read("cache-key.json") as { name: string; facts: CacheKeyFacts; key: string }[];

test.each(pipelines)("IR digest of $name", ({ pipeline, equal, digest }) => {
  for (const form of [pipeline, ...equal]) expect(pipelineDigest(pipelineSchema.parse(form))).toBe(digest);
  const once = normalizePipeline(pipeline);
  expect(normalizePipeline(once)).toEqual(once);
  expect(pipelineSchema.parse(once)).toEqual(once);
});

test.each(keys)("cache key of $name", ({ facts, key }) => {
  expect(cacheKey(facts).key).toBe(key);
});

const [first] = keys as unknown as [{ facts: CacheKeyFacts }];

test("what does not change the work does not change the key", () => {
  const step = {
    ...first.facts.step,
    retry: { attempts: 5 },
    timeoutSeconds: 9,
    resources: { cpu: 8 },
    compute: "big",
    secrets: ["TOKEN"],
    needs: ["other"],
  };
  expect(cacheKey({ ...first.facts, step }).key).toBe(cacheKey(first.facts).key);
});

test("two keys are compared line by line", () => {
  const before = cacheKey(first.facts).parts;
  const after = cacheKey({ ...first.facts, params: { ...first.facts.params, learning_rate: 0.2 } }).parts;
  expect(diffKeyParts(before, after).map(describeKeyPartChange)).toEqual(["params.learning_rate: 0.1 -> 0.2"]);
});

test.each([
  ["an input", { inputs: {} }],
  ["a source", { source: undefined }],
  ["an environment", { environment: undefined }],
  ["a parameter", { params: {} }],
])("without %s there is no key", (_, gone) => {
  expect(() => cacheKey({ ...first.facts, ...gone } as CacheKeyFacts)).toThrow(
    expect.objectContaining({ code: "INTERNAL" }),
  );
});
