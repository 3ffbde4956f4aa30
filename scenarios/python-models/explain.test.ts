import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { type LoggedModels, logModels } from "./models.ts";
import { type ServedModel, serveModel } from "./serve.ts";

let models: LoggedModels | undefined;
const started: ServedModel[] = [];

beforeAll(async () => {
  const logged = await logModels("log-explained.py");
  if ("skipped" in logged) console.warn(logged.skipped);
  else models = logged;
}, 600_000);
afterEach(async () => {
  for (const server of started.splice(0)) await server.stop();
});
afterAll(() => models?.remove());

async function serve(logged: LoggedModels, name: string): Promise<ServedModel> {
  const server = await serveModel(logged.folder(name), logged.python);
  started.push(server);
  return server;
}

type Explanation = Record<string, number>;

const rows = [
  { a: 1, b: 0.5, c: 0 },
  { a: -2, b: 1, c: 0.3 },
];

describe("an explanation", () => {
  test.for([
    ["xgboost", 4],
    ["lightgbm", 9],
    ["linear", 9],
  ] as const)("adds up to the prediction, and what matters more weighs more: %s", async ([name, digits], { skip }) => {
    if (models === undefined) return skip("SHAP is not installed here");
    const { post } = await serve(models, name);
    const { body: predicted } = await post("/invocations", { dataframe_records: rows });
    const { status, body } = await post("/v1/models/m:explain", { instances: rows });
    expect([status, Object.keys(body)]).toEqual([200, ["explanations"]]);
    for (const [index, explanation] of (body.explanations as Explanation[]).entries()) {
      expect(Object.keys(explanation)).toEqual(["a", "b", "c", "base_value"]);
      const sum = Object.values(explanation).reduce((total, value) => total + value, 0);
      expect(sum).toBeCloseTo(predicted.predictions[index], digits);
      expect(Math.abs(explanation["a"] ?? 0)).toBeGreaterThan(Math.abs(explanation["c"] ?? 0));
    }
  });

  test("of a classifier is about the probability of the positive class", async ({ skip }) => {
    if (models === undefined) return skip("SHAP is not installed here");
    const { post } = await serve(models, "forest");
    const { body: predicted } = await post("/invocations", { dataframe_records: rows });
    const { body } = await post("/v1/models/m:explain", { instances: rows });
    for (const [index, explanation] of (body.explanations as Explanation[]).entries()) {
      const sum = Object.values(explanation).reduce((total, value) => total + value, 0);
      expect(sum).toBeCloseTo(predicted.predictions[index][1], 6);
    }
  });

  test("of a pipeline with text is found by permutation, and needs usual rows to compare with", async ({ skip }) => {
    if (models === undefined) return skip("SHAP is not installed here");
    const flights = [
      { origin: "JFK", miles: 10 },
      { origin: "LAX", miles: 10 },
    ];
    const { post } = await serve(models, "pipeline");
    const { status, body } = await post("/v1/models/m:explain", { instances: flights });
    expect([status, body.error]).toEqual([200, undefined]);
    const [jfk, lax] = body.explanations as [Explanation, Explanation];
    expect((jfk["origin"] ?? 0) - (lax["origin"] ?? 0)).toBeCloseTo(100, 4);
    expect(jfk["miles"]).toBeCloseTo(lax["miles"] ?? 0, 4);
    const without = await serve(models, "no-example");
    expect(await without.post("/v1/models/m:explain", { instances: flights })).toMatchObject({
      status: 501,
      body: { error: expect.stringContaining("input_example") },
    });
  });

  test("without shap in the environment says which package to add", async ({ skip }) => {
    const plain = await logModels();
    if ("skipped" in plain) return skip(plain.skipped);
    try {
      const { post } = await serve(plain, "classifier");
      expect(await post("/v1/models/m:explain", { instances: [[1, 2, 3, 4]] })).toMatchObject({
        status: 501,
        body: { error: expect.stringContaining("the package shap") },
      });
    } finally {
      await plain.remove();
    }
  });
});
