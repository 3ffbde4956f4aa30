import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type LoggedModels, logModels } from "./models.ts";
import { type ServedModel, serveModel } from "./serve.ts";

/** Bodies as callers of `mlflow models serve` send them; the answers must be the same, whatever the model gives. */
const cases: readonly [model: string, body: unknown, type?: string][] = [
  [
    "classifier",
    {
      dataframe_split: {
        columns: ["d", "c", "b", "a"],
        data: [
          [0, 0, 1, 1],
          [0, 0, -1, -1],
        ],
      },
    },
  ],
  ["classifier", { dataframe_records: [{ a: 1, b: 0.5, c: 0, d: 0 }] }],
  [
    "classifier",
    {
      instances: [
        { a: 1, b: 1, c: 0, d: 0 },
        { a: -1, b: -1, c: 0.25, d: 0 },
      ],
    },
  ],
  ["classifier", { inputs: { a: [1], b: [2.5], c: [3], d: [4] } }],
  ["classifier", "a,b,c,d\n1,2,3,4\n-1,-2,-3,-4\n", "text/csv"],
  [
    "probabilities",
    {
      dataframe_split: {
        columns: ["a", "b", "c", "d"],
        data: [
          [0.1, 0.2, 0, 0],
          [0, 0, -1, -1],
        ],
      },
    },
  ],
  [
    "matrix",
    {
      instances: [
        [1, 2, 3, 4],
        [0.5, 0.25, 0, 0],
      ],
    },
  ],
  ["matrix", { inputs: [[1, 2, 3, 4]] }],
  ["unsigned", { dataframe_split: { columns: ["a", "b", "c", "d"], data: [[0.5, 0.2, 0, 0]] } }],
  ["unsigned-array", { instances: [[1, 2, 3, 4]] }],
  [
    "unsigned-array",
    {
      inputs: [
        [1, 2, 3, 4],
        [0, 0, 0, 1],
      ],
    },
  ],
  [
    "pipeline",
    {
      dataframe_records: [
        { origin: "JFK", miles: 5, late: true },
        { origin: "???", miles: 7, late: false },
      ],
    },
  ],
  ["pipeline", "origin,miles,late\nSFO,12,True\n", "text/csv"],
  [
    "report",
    {
      dataframe_split: {
        columns: ["a", "b", "when"],
        data: [
          [1, 2, "2001-02-03"],
          [-1, 0, "1999-12-31"],
        ],
      },
    },
  ],
  ["report", { dataframe_records: [{ a: 1, b: 2, when: "2001-02-03T04:05:06" }], params: { shift: 10 } }],
  ["lists", { dataframe_records: [{ count: 2 }, { count: 0 }, { count: 3 }] }],
  [
    "images",
    {
      inputs: {
        image: [
          [
            [1, 2, 3],
            [4, 5, 6],
          ],
          [
            [0, 0, 0],
            [0, 0, 6],
          ],
        ],
        weight: [1, 0.5],
      },
    },
  ],
];

/** What MLflow refuses too. */
const refused: readonly [model: string, body: unknown][] = [
  ["classifier", { dataframe_records: [{ a: 1, b: 2, c: 3 }] }],
  ["classifier", { dataframe_records: [{ a: "x", b: 2, c: 3, d: 4 }] }],
  [
    "classifier",
    { dataframe_split: { columns: ["a", "b", "c", "d"], data: [[1, 2, 3, 4]] }, instances: [[1, 2, 3, 4]] },
  ],
  ["matrix", { instances: [[1, 2, 3]] }],
  ["unsigned-array", { instances: [[1, 2, 3]] }],
  ["unsigned-array", { rows: [[1, 2, 3, 4]] }],
  ["report", { dataframe_records: [{ a: 1, b: 2, when: "yesterday" }] }],
  ["naughty", { dataframe_records: [{ what: -1 }] }],
];

let models: LoggedModels | undefined;
const servers = new Map<string, Promise<ServedModel>>();

beforeAll(async () => {
  const logged = await logModels();
  if ("skipped" in logged) console.warn(logged.skipped);
  else models = logged;
});
afterAll(async () => {
  await Promise.all([...servers.values()].map(async (server) => (await server).stop()));
  await models?.remove();
});

function served(logged: LoggedModels, name: string): Promise<ServedModel> {
  const running = servers.get(name) ?? serveModel(logged.folder(name), logged.python);
  servers.set(name, running);
  return running;
}

interface Told {
  status: number;
  body: unknown;
}

/** One process of MLflow for all questions. */
function askMlflow(logged: LoggedModels, asked: readonly (readonly [string, unknown, string?])[]): Told[] {
  const lines = asked.map(([model, body, type = "application/json"]) =>
    JSON.stringify({ model: logged.folder(model), body: typeof body === "string" ? body : JSON.stringify(body), type }),
  );
  const script = join(import.meta.dirname, "ask-mlflow.py");
  const written = execFileSync(logged.python, [script], {
    input: `${lines.join("\n")}\n`,
    encoding: "utf8",
    stdio: ["pipe", "pipe", "ignore"],
    maxBuffer: 64 * 1024 * 1024,
  });
  const answers = written.split("\n").filter((line) => line.startsWith('{"answer"'));
  return answers.map((line) => JSON.parse(line).answer);
}

describe("a Python model answers what `mlflow models serve` answers", () => {
  test("to what MLflow understands", { timeout: 600_000 }, async ({ skip }) => {
    if (models === undefined) return skip("MLflow is not installed here");
    const expected = askMlflow(models, cases);
    expect(expected.map(({ status }) => status)).toEqual(cases.map(() => 200));
    for (const [index, [model, body, type]] of cases.entries()) {
      const { post } = await served(models, model);
      const answer = await post("/invocations", body, type);
      expect([model, answer.status, answer.body], JSON.stringify(body)).toEqual([model, 200, expected[index]?.body]);
    }
  });

  test("and refuses what MLflow refuses, the model going on", { timeout: 600_000 }, async ({ skip }) => {
    if (models === undefined) return skip("MLflow is not installed here");
    const expected = askMlflow(models, refused);
    expect(expected.map(({ status }) => status)).toEqual(refused.map(() => 400));
    for (const [model, body] of refused) {
      const { post } = await served(models, model);
      const answer = await post("/invocations", body);
      expect([model, answer.status, answer.body.error_code], JSON.stringify(body)).toEqual([
        model,
        400,
        expect.any(String),
      ]);
      expect(answer.body.message).toBeTruthy();
    }
    const { post } = await served(models, "naughty");
    expect(await post("/invocations", { instances: [[4]] })).toMatchObject({ status: 200, body: { predictions: [8] } });
  });

  test("V2 and V1 ask the same model, by its tensors", async ({ skip }) => {
    if (models === undefined) return skip("MLflow is not installed here");
    const matrix = await served(models, "matrix");
    const tensor = { name: "x", shape: [2, 4], datatype: "FP64", data: [1, 1, 1, 1, 1, 0, 0, 0] };
    const v2 = await matrix.post("/v2/models/m/infer", { inputs: [tensor] });
    expect(v2).toMatchObject({
      status: 200,
      body: { outputs: [{ name: "predictions", datatype: "FP64", shape: [2] }] },
    });
    expect(v2.body.outputs[0].data[0]).toBeCloseTo(10, 9);
    const v1 = await matrix.post("/v1/models/m:predict", { instances: [[1, 0, 0, 0]] });
    expect(v1.body.predictions[0]).toBeCloseTo(1, 9);
    const report = await served(models, "report");
    const asked = await report.post("/v2/models/m/infer", {
      inputs: [
        { name: "a", shape: [1], datatype: "FP64", data: [1] },
        { name: "b", shape: [1], datatype: "FP64", data: [2] },
        { name: "when", shape: [1], datatype: "BYTES", data: ["2001-02-03"] },
      ],
    });
    expect(asked.body.outputs).toMatchObject([
      { name: "sum", datatype: "FP64", data: [3] },
      { name: "word", datatype: "BYTES", data: ["high"] },
      { name: "year", datatype: "INT64", data: [2001] },
    ]);
    const through = await served(models, "unsigned-array");
    expect(await through.post("/v1/models/m:predict", { instances: [[1, 2, 3, 4]] })).toMatchObject({
      status: 501,
      body: { error: expect.stringContaining("only MLflow's /invocations") },
    });
  });
});
