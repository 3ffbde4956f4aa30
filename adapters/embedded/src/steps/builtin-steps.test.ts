import { execFile } from "node:child_process";
import { readFile, rm, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { columnModel, columnSignature, logisticModel, matrixSignature, writeModelFolder } from "@espalier/conformance";
import { digestOfBytes, type GateVerdict, type JsonObject, stepEventSchema } from "@espalier/core";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { makeStepFolder, makeTable, query, type StepFolder } from "../testing/run-step.ts";
import { artifactDigest } from "./artifact-digest.ts";
import type { ImportanceReport } from "./permutation-importance.ts";
import { runDataBuiltin } from "./run-builtin.ts";

const flights = `SELECT i AS id, ((i * 7919) % 1000) / 1000.0 AS a, ((i * 104729) % 997) / 997.0 AS b, i // 500 AS day,
  ['x', 'y', 'z'][i % 3 + 1] AS origin, ((i * 7919) % 1000) / 1000.0 * 0.6 + ((i * 31) % 991) / 991.0 > 0.8 AS late
  FROM range(20000) t(i)`;

let folder: StepFolder;
beforeEach(async () => {
  folder = await makeStepFolder();
  vi.spyOn(process.stdout, "write").mockReturnValue(true);
});
afterEach(async () => {
  vi.restoreAllMocks();
  await folder.remove();
});

type Settings = Parameters<StepFolder["environment"]>[0];

async function run(name: string, settings: Settings = {}): Promise<{ exitCode: number; stderr: string }> {
  const written: string[] = [];
  vi.spyOn(process.stderr, "write").mockImplementation((text) => written.push(String(text)) > 0);
  const exitCode = await runDataBuiltin(name, folder.environment(settings), new AbortController().signal);
  return { exitCode, stderr: written.join("") };
}

const makeModel = (
  name: string,
  weights: readonly number[],
  columns: readonly string[] = ["a", "b"],
): Promise<string> => writeModelFolder(folder.input(name), logisticModel(weights, -1.5), matrixSignature(columns));

async function value(name: string): Promise<JsonObject> {
  return JSON.parse(await readFile(folder.output(name), "utf8")) as JsonObject;
}

async function events(): Promise<{ type: string; key?: string; value?: unknown }[]> {
  const lines = (await readFile(folder.events, "utf8")).split("\n").filter((line) => line !== "");
  return lines.map((line) => stepEventSchema.parse(JSON.parse(line)));
}

describe("sql", () => {
  const script = `CREATE TABLE train AS SELECT id, sum(a * 1.1) OVER (PARTITION BY origin ORDER BY id) AS running, late FROM flights
    WHERE day < getvariable('until') ORDER BY id;
    CREATE VIEW rates AS SELECT origin, avg(a * 0.1) AS rate FROM flights GROUP BY origin ORDER BY origin;`;

  it("writes the tables and views that its script makes, with typed parameters, and the same bytes each time", async () => {
    await makeTable(folder.input("flights"), flights);
    await writeFile(folder.input("script"), script);
    const settings = { params: { until: 20 }, outputs: ["train", "rates"] };
    expect(await run("sql", settings)).toEqual({ exitCode: 0, stderr: "" });
    const first = await Promise.all(["train", "rates"].map((name) => artifactDigest(folder.output(name))));
    expect(await query(`SELECT count(*) AS n FROM read_parquet('${folder.output("train")}')`)).toEqual([{ n: 10_000 }]);
    await run("sql", settings);
    expect(await Promise.all(["train", "rates"].map((name) => artifactDigest(folder.output(name))))).toEqual(first);
    expect(await events()).toContainEqual(
      expect.objectContaining({ type: "metric", key: "rows.train", value: 10_000 }),
    );
  });
  it("writes an output of type file as CSV", async () => {
    await writeFile(folder.input("prices"), "id,price\n1,2.5\n2,\n");
    await writeFile(folder.input("script"), "CREATE TABLE doubled AS SELECT id, 2 * price AS price FROM prices");
    expect((await run("sql", { outputs: ["doubled"], types: { doubled: "file" } })).exitCode).toBe(0);
    expect(await readFile(folder.output("doubled"), "utf8")).toBe("id,price\n1,5.0\n2,\n");
  });
  it("reads CSV, JSON and folders by their content", async () => {
    await writeFile(folder.input("prices"), "id,price\n1,2.5\n2,3.5\n");
    await writeFile(folder.input("names"), '[{"id": 1, "name": "one"}]');
    await writeFile(folder.input("script"), "CREATE TABLE joined AS SELECT * FROM prices JOIN names USING (id)");
    expect((await run("sql", { outputs: ["joined"] })).exitCode).toBe(0);
    expect(await query(`SELECT * FROM read_parquet('${folder.output("joined")}')`)).toEqual([
      { id: 1, price: 2.5, name: "one" },
    ]);
  });
  it("names an output that the script does not make", async () => {
    await writeFile(folder.input("script"), "CREATE TABLE tset AS SELECT 1 AS x");
    const { exitCode, stderr } = await run("sql", { outputs: ["test"] });
    expect([exitCode, stderr]).toEqual([
      2,
      expect.stringMatching(/INVALID_INPUT.*`test`[\s\S]*outputs\.test[\s\S]*tset/),
    ]);
  });
  it("passes on what DuckDB says of a script, and hints at a column that vanished", async () => {
    await makeTable(folder.input("flights"), flights);
    await writeFile(folder.input("script"), "CREATE TABLE t AS SELECT distance FROM flights");
    const { exitCode, stderr } = await run("sql", { outputs: ["t"] });
    expect([exitCode, stderr]).toEqual([2, expect.stringMatching(/"distance" not found[\s\S]*vanish/)]);
  });
  it("reads nothing but its inputs and changes no setting", async () => {
    await writeFile(folder.input("script"), `CREATE TABLE t AS SELECT * FROM read_csv('/etc/passwd')`);
    expect((await run("sql", { outputs: ["t"] })).stderr).toMatch(/reads only the step's inputs/);
    await writeFile(folder.input("script"), "SET threads = 4; CREATE TABLE t AS SELECT 1");
    expect((await run("sql", { outputs: ["t"] })).stderr).toMatch(/configuration/);
  });
});

describe("a file that is damaged", () => {
  it("is INVALID_DATA that names the input, when cut in half, in a process of its own", async () => {
    await makeTable(folder.input("flights"), flights);
    await truncate(folder.input("flights"), 50_000);
    await writeFile(folder.input("script"), "SELECT 1");
    const main = fileURLToPath(new URL("../builtin-step-main.ts", import.meta.url));
    const { code, stderr } = await new Promise<{ code: unknown; stderr: string }>((resolve) => {
      const environment = { ...process.env, ...folder.environment({ outputs: ["t"] }) };
      execFile(process.execPath, [main, "sql"], { env: environment }, (error, _stdout, text) =>
        resolve({ code: error?.code, stderr: text }),
      );
    });
    expect(code).toBe(1);
    expect(stderr).toMatch(/^error: INVALID_DATA The input `flights` can not be read/);
    expect(stderr).toContain(folder.input("flights"));
  });
});

describe("validate", () => {
  const rules = (text: string) => writeFile(folder.input("rules"), text);

  it("sets dirt aside and reports it", async () => {
    await makeTable(folder.input("data"), flights);
    await rules(
      "rules:\n  - { rule: range, column: id, max: 19989, severity: quarantine }\n  - { rule: not_null, column: late }\n",
    );
    expect((await run("validate")).exitCode).toBe(0);
    expect(await value("report")).toMatchObject({ passed: true, rows: 20_000, quarantined: 10 });
    const aside = await query(`SELECT _rule, id FROM read_parquet('${folder.output("quarantine")}') LIMIT 1`);
    expect(aside).toEqual([{ _rule: "range(id)", id: 19_990 }]);
    expect(await events()).toContainEqual(expect.objectContaining({ key: "rows.quarantined", value: 10 }));
  });
  it("fails on a broken error rule, and shows failing rows in the log", async () => {
    await makeTable(folder.input("data"), flights);
    await rules("- { rule: in_set, column: origin, values: [x, y] }\n");
    const { exitCode, stderr } = await run("validate");
    expect([exitCode, stderr]).toEqual([
      1,
      expect.stringMatching(/in_set\(origin\): row 3 .*[\s\S]*error: INVALID_DATA.*6666 of 20000 rows fail/),
    ]);
  });
  it("tells where the rules file is wrong", async () => {
    await makeTable(folder.input("data"), flights);
    await rules("rules:\n  - { rule: not_null, colum: id }\n");
    expect(await run("validate")).toEqual({ exitCode: 2, stderr: expect.stringMatching(/rules\[0\]\.column/) });
    await rules("rules:\n  - { rule: [\n");
    expect(await run("validate")).toEqual({
      exitCode: 2,
      stderr: expect.stringMatching(/rules` is not valid YAML[\s\S]*inputs\.rules:\d+:\d+/),
    });
  });
});

describe("evaluate", () => {
  it("reports metrics, calibration, slices and importance, and writes predictions in the order of the rows", async () => {
    await makeTable(folder.input("data"), flights);
    await makeModel("model", [3, 0]);
    const settings = { with: { target: "late", task: "binary", slices: ["origin"], block: "day" } };
    expect(await run("evaluate", settings)).toEqual({ exitCode: 0, stderr: "" });
    const report = (await value("report")) as unknown as {
      metrics: Record<string, number>;
      slices: { value: string; rows: number }[];
      importance: { columns: { column: string; loss: number }[] };
      calibration: { bins: unknown[] };
    };
    expect(report.metrics.auc).toBeGreaterThan(0.65);
    expect(report.calibration.bins).toHaveLength(10);
    expect(report.slices.map((slice) => slice.rows)).toEqual([6667, 6667, 6666]);
    expect(report.importance.columns[0]?.column).toBe("a");
    expect(report.importance.columns[1]?.loss).toBeCloseTo(0, 12);
    const predictions = await query(
      `SELECT count(*) AS n, min(row) AS first, bool_and(abs(score - 1 / (1 + exp(1.5 - 3 * a))) < 1e-6) AS aligned
       FROM read_parquet('${folder.output("predictions")}') p JOIN read_parquet('${folder.input("data")}') d ON p.row = d.id + 1`,
    );
    expect(predictions).toEqual([{ n: 20_000, first: 1, aligned: true }]);
  });
  it("finds what the model leans on: a shuffled column that matters costs, one that does not costs nothing", async () => {
    await makeTable(folder.input("data"), flights);
    await makeModel("model", [3, 0]);
    const settings = { with: { target: "late", task: "binary", importance_rows: 1000, importance_repeats: 4 } };
    await run("evaluate", settings);
    const report = await value("report");
    const importance = report.importance as unknown as ImportanceReport;
    expect(importance).toMatchObject({ metric: "auc", rows: 1000, repeats: 4 });
    const [a, b] = importance.columns;
    expect(b).toEqual({ column: "b", loss: 0, deviation: 0 });
    // Shuffled, the only column that matters leaves an AUC of about one half.
    expect(importance.base - (a?.loss ?? 0)).toBeGreaterThan(0.45);
    expect(importance.base - (a?.loss ?? 0)).toBeLessThan(0.55);
    expect(a?.deviation).toBeGreaterThan(0);
    expect(a?.deviation).toBeLessThan(0.05);
    expect(await events()).toContainEqual(expect.objectContaining({ key: "importance.a", value: a?.loss }));
    await run("evaluate", settings);
    expect((await value("report")).importance).toEqual(report.importance);
    await run("evaluate", { with: { ...settings.with, importance_rows: 0 } });
    expect((await value("report")).importance).toBeNull();
  });
  it("finds it for a regression with text and whole numbers too", async () => {
    await makeTable(
      folder.input("data"),
      `SELECT i % 4 AS grade, 1.0 AS amount, ['north', 'south', 'west'][i % 3 + 1] AS city,
         1 + [0, 10, 20, 30][grade + 1] + [100, 200, 0][i % 3 + 1] AS total FROM range(6000) t(i)`,
    );
    await writeModelFolder(folder.input("model"), columnModel(), columnSignature);
    expect(await run("evaluate", { with: { target: "total", task: "regression" } })).toEqual({
      exitCode: 0,
      stderr: "",
    });
    const importance = (await value("report")).importance as unknown as ImportanceReport;
    expect(importance).toMatchObject({ metric: "rmse", base: 0, rows: 2000, repeats: 5 });
    expect(importance.columns.map(({ column }) => column)).toEqual(["city", "grade", "amount"]);
    expect(importance.columns[2]).toEqual({ column: "amount", loss: 0, deviation: 0 });
    // The root of twice the variance of what was shuffled: 81.6 for the city, 11.2 for the grade.
    expect(importance.columns[0]?.loss).toBeCloseTo(81.65 * Math.SQRT2, -1);
    expect(importance.columns[1]?.loss).toBeCloseTo(11.18 * Math.SQRT2, 0);
  });
  it("judges a folder as MLflow's clients log it by its ONNX flavour, and nothing but that", async () => {
    await makeTable(folder.input("data"), flights);
    await makeModel("model", [3, 0]);
    const settings = { with: { target: "late", task: "binary" } };
    await run("evaluate", settings);
    const ours = (await value("report")) as { metrics: object };
    await rm(join(folder.input("model"), "signature.json"));
    const columns = JSON.stringify(["a", "b"].map((name) => ({ type: "double", name, required: false })));
    const mlmodel = (flavors: string, inputs: string) =>
      writeFile(join(folder.input("model"), "MLmodel"), `flavors:\n${flavors}\nsignature:\n  inputs: '${inputs}'\n`);
    await mlmodel("  onnx: { data: model.onnx }", columns);
    expect(await run("evaluate", settings)).toEqual({ exitCode: 0, stderr: "" });
    expect(await value("report")).toMatchObject({ metrics: ours.metrics });
    await mlmodel("  python_function: { loader_module: mlflow.sklearn }", columns);
    expect((await run("evaluate", settings)).stderr).toMatch(/NOT_INSTALLED The MLflow model `model` needs its Python/);
    await mlmodel("  onnx: { data: ../model.onnx }", columns);
    expect((await run("evaluate", settings)).stderr).toMatch(/INVALID_DATA .* leads outside of the model/);
    await mlmodel("  onnx: { data: model.onnx }", "[]x");
    expect((await run("evaluate", settings)).stderr).toMatch(/INVALID_DATA .* without the names of its columns/);
  });
  it("refuses data that does not fit the model's signature, naming each column", async () => {
    await makeTable(folder.input("data"), flights);
    await makeModel("model", [1, 1], ["origin", "distance"]);
    const { exitCode, stderr } = await run("evaluate", { with: { target: "late", task: "binary" } });
    expect(exitCode).toBe(1);
    expect(stderr).toMatch(/SIGNATURE_MISMATCH.*`origin` is VARCHAR, the model takes double; `distance` is missing/);
  });
  it("stops at a row that the model gives no number for", async () => {
    await makeTable(
      folder.input("data"),
      `SELECT * REPLACE (CASE WHEN id = 5 THEN NULL ELSE a END AS a) FROM (${flights})`,
    );
    await makeModel("model", [3, 0]);
    const { exitCode, stderr } = await run("evaluate", { with: { target: "late", task: "binary" } });
    expect([exitCode, stderr]).toEqual([1, expect.stringMatching(/INVALID_DATA The model `model` gives no number/)]);
  });
  it("does not take a target with missing or other values for a binary one", async () => {
    await makeTable(folder.input("data"), flights);
    await makeModel("model", [3, 0]);
    expect((await run("evaluate", { with: { target: "day", task: "binary" } })).stderr).toMatch(
      /`day` is 2 in row 1001/,
    );
    expect((await run("evaluate", { with: { target: "gone", task: "binary" } })).stderr).toMatch(/no column `gone`/);
  });
});

describe("gate", () => {
  const policy =
    "target: late\nblock: day\nresamples: 300\nslices: { columns: [origin], min_count: 100, max_regression: 0.01 }\n";

  async function prepare(candidate: readonly number[], champion?: readonly number[], text = policy): Promise<void> {
    await makeTable(folder.input("data"), flights);
    await makeModel("candidate", candidate);
    if (champion !== undefined) await makeModel("champion", champion);
    await writeFile(folder.input("policy"), text);
  }
  const verdict = async (): Promise<GateVerdict> => (await value("verdict")) as unknown as GateVerdict;

  it("lets a better candidate through with the very bytes it judged", async () => {
    await prepare([3, 0], [3, 1.5]);
    expect(await run("gate")).toEqual({ exitCode: 0, stderr: "" });
    const given = await verdict();
    expect(given).toMatchObject({ outcome: "passed", allowed: true, comparedWith: "champion" });
    expect(await artifactDigest(folder.output("model"))).toBe(given.candidate.digest);
    expect(given.data).toBe(digestOfBytes(await readFile(folder.input("data"))));
    expect(given.reference?.digest).toBe(await artifactDigest(folder.input("champion")));
    expect(given.resampling).toMatchObject({ unit: "block", blocks: 40 });
  });
  it("leaves a verdict and no model when it refuses", async () => {
    await prepare([3, 1.5], [3, 0]);
    expect((await run("gate")).exitCode).toBe(0);
    expect(await verdict()).toMatchObject({ outcome: "refused", allowed: false });
    await expect(artifactDigest(folder.output("model"))).rejects.toThrow();
    expect(await events()).toContainEqual(expect.objectContaining({ key: "gate.outcome", value: "refused" }));
  });
  it("compares with the constant prediction while there is no champion", async () => {
    await prepare([3, 0]);
    await run("gate");
    expect(await verdict()).toMatchObject({ outcome: "passed", comparedWith: "baseline" });
  });
  it("is undecided between equals unless the policy has a margin", async () => {
    await prepare([3, 0], [3, 0]);
    await run("gate");
    expect(await verdict()).toMatchObject({ outcome: "inconclusive", allowed: false });
    await writeFile(folder.input("policy"), `${policy}margin: 0.001\n`);
    await run("gate");
    expect(await verdict()).toMatchObject({ outcome: "passed" });
  });
  it("judges plain metrics by bounds", async () => {
    await makeModel("candidate", [1, 1]);
    await writeFile(folder.input("policy"), "bounds: { f1: { min: 0.7 } }\n");
    await writeFile(folder.input("metrics"), '{"f1": 0.71, "note": "from a shell script"}');
    expect((await run("gate")).exitCode).toBe(0);
    expect(await verdict()).toMatchObject({ outcome: "passed", bounds: [{ metric: "f1", value: 0.71, passed: true }] });
  });
  it("names the place of a fault in the policy", async () => {
    await prepare([3, 0], undefined, "target: late\nmetric: acu\nmargin: -1\n");
    expect(await run("gate")).toEqual({ exitCode: 2, stderr: expect.stringMatching(/policy\.metric.*policy\.margin/) });
  });
});

it("knows its names and what an input lacks", async () => {
  expect(await run("validte")).toEqual({
    exitCode: 2,
    stderr: expect.stringMatching(/validte[\s\S]*validate, sql, evaluate, gate/),
  });
  expect(await run("gate")).toEqual({ exitCode: 2, stderr: expect.stringMatching(/needs the input `candidate`/) });
});
