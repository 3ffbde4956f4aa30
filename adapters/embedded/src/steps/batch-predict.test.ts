import { spawn } from "node:child_process";
import { mkdir, readdir, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { columnModel, columnSignature, matrixSignature, treeModel, writeModelFolder } from "@espalier/conformance";
import type { JsonObject } from "@espalier/core";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { Row } from "../duckdb-client.ts";
import { openOnnxModel } from "../onnx-client.ts";
import { makeStepFolder, makeTable, query, type StepFolder } from "../testing/run-step.ts";
import { artifactDigest } from "./artifact-digest.ts";
import { runDataBuiltin } from "./run-builtin.ts";

const columns = ["a", "b", "c", "d"];
const table = (rows: number, first = 0): string => `SELECT i AS id, ((i * 7919) % 10007) / 10007.0 AS a,
  CAST(((i * 104729) % 997) / 997.0 AS FLOAT) AS b, i % 2 AS c, CAST((i * 31 % 101) / 101.0 AS DECIMAL(8, 6)) AS d,
  ['x', 'y', 'ünï'][i % 3 + 1] AS city, {'k': i} AS nested FROM range(${first}, ${first + rows}) t(i)`;

let folder: StepFolder;
beforeEach(async () => {
  folder = await makeStepFolder();
  vi.spyOn(process.stdout, "write").mockReturnValue(true);
});
afterEach(async () => {
  vi.restoreAllMocks();
  vi.unstubAllEnvs();
  await folder.remove();
});

type Settings = Parameters<StepFolder["environment"]>[0];

async function run(settings: Settings = {}): Promise<{ exitCode: number; stderr: string }> {
  const written: string[] = [];
  vi.spyOn(process.stderr, "write").mockImplementation((text) => written.push(String(text)) > 0);
  const exitCode = await runDataBuiltin("batch-predict", folder.environment(settings), new AbortController().signal);
  return { exitCode, stderr: written.join("") };
}

const makeForest = (): Promise<string> =>
  writeModelFolder(
    folder.input("model"),
    treeModel({ columns: 4, trees: 60, depth: 4, seed: 3 }),
    matrixSignature(columns),
  );

const makeColumnModel = (): Promise<string> => writeModelFolder(folder.input("model"), columnModel(), columnSignature);

const makeData = async (path: string, sql: string): Promise<void> => {
  await query(`COPY (${sql}) TO '${path}' (FORMAT parquet, ROW_GROUP_SIZE 2048)`);
};

const predictions = (sql: string): Promise<Row[]> =>
  query(
    `${sql.replace("$predictions", `read_parquet('${folder.output("predictions")}/**/*.parquet', hive_partitioning = true)`)}`,
  );

const report = async (): Promise<JsonObject> => JSON.parse(await readFile(folder.output("report"), "utf8"));

async function files(): Promise<string[]> {
  const found = await readdir(folder.output("predictions"), { recursive: true, withFileTypes: true });
  return found
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.output("predictions").length + 1))
    .sort();
}

describe("batch-predict", () => {
  it("predicts each row as the model does by itself, in order, with what is kept of any type", async () => {
    await makeTable(folder.input("data"), table(20_000));
    await makeForest();
    const settings = { with: { keep: ["id", "nested"], prediction_id: "id", threshold: 0.5, batch_rows: 1000 } };
    expect(await run(settings)).toEqual({ exitCode: 0, stderr: "" });
    expect(await files()).toEqual(["part-00000.parquet"]);
    const found = await predictions("SELECT * FROM $predictions");
    const model = await openOnnxModel(folder.input("model"), "model");
    const rows = await query(`SELECT a, b, c, d FROM read_parquet('${folder.input("data")}')`);
    const alone = await model.score(
      columns.map((name) => rows.map((row) => row[name])),
      rows.length,
    );
    await model.close();
    expect(found).toHaveLength(20_000);
    expect(found.map((row) => row["score"])).toEqual([...alone]);
    expect(found[7]).toMatchObject({ prediction_id: "7", id: 7, nested: { k: 7 } });
    expect(found.every((row) => row["label"] === Number(row["score"]) >= 0.5)).toBe(true);
    expect(await report()).toMatchObject({ rows: 20_000, predicted: 20_000, rejected: 0, notFinite: 0 });
    expect(await query(`SELECT count(*) AS n FROM read_parquet('${folder.output("rejects")}')`)).toEqual([{ n: 0 }]);
  });

  it("gives the same bytes whatever the number of threads, and ids that follow content and row", async () => {
    await makeTable(folder.input("data"), table(9000));
    await makeForest();
    const digests = new Set<string>();
    for (const threads of ["1", "3"]) {
      vi.stubEnv("OMP_NUM_THREADS", threads);
      await rm(join(folder.root, "outputs"), { recursive: true, force: true });
      expect((await run({ with: { batch_rows: 500, part_rows: 4000 } })).exitCode).toBe(0);
      digests.add(await artifactDigest(folder.output("predictions")));
    }
    expect(digests.size).toBe(1);
    const hash = (await artifactDigest(folder.input("data"))).slice("sha256:".length).slice(0, 16);
    const ids = await predictions("SELECT prediction_id AS id FROM $predictions LIMIT 2");
    expect(ids).toEqual([{ id: `${hash}-1` }, { id: `${hash}-2` }]);
  });

  it("predicts one tensor a column with text and 64-bit integers, and all outputs by name", async () => {
    await writeFile(folder.input("data"), "city,grade,amount,code\nnorth,1,0.5,007\nelsewhere,3,,008\n");
    await makeColumnModel();
    expect(await run({ with: { keep: ["code", "city"], outputs: "all" } })).toEqual({ exitCode: 0, stderr: "" });
    const found = await predictions("SELECT city, score, total FROM $predictions");
    expect(found).toEqual([
      { city: "north", score: 110.5, total: 110.5 },
      { city: "elsewhere", score: "NaN", total: "NaN" },
    ]);
    expect(await report()).toMatchObject({ notFinite: 1 });
  });

  it("keeps the folders of the data, and makes folders of the run's date and of columns", async () => {
    await makeForest();
    await query(
      `COPY (SELECT *, id % 2 AS side FROM (${table(6000)})) TO '${folder.input("data")}' (FORMAT parquet, PARTITION_BY (side))`,
    );
    await run();
    expect(await files()).toEqual(["side=0/part-00000.parquet", "side=1/part-00001.parquet"]);
    const settings = { params: { date: "2026-11-26" }, with: { partition_by: ["date", "city"], keep: ["id"] } };
    expect(await run(settings)).toEqual({ exitCode: 0, stderr: "" });
    expect(
      (await files()).every((path) => /^date=2026-11-26\/city=[^/]+\/part-0000[01]-\d+\.parquet$/.test(path)),
    ).toBe(true);
    const counts = await predictions(
      "SELECT city, count(*) AS n, count(DISTINCT id) AS ids FROM $predictions GROUP BY city ORDER BY city",
    );
    expect(counts).toEqual([
      { city: "x", n: 2000, ids: 2000 },
      { city: "y", n: 2000, ids: 2000 },
      { city: "ünï", n: 2000, ids: 2000 },
    ]);
  });
});

describe("a day without rows", () => {
  it("is a partition with the columns of every other", async () => {
    await makeForest();
    const settings = { params: { date: "2026-11-26" }, with: { partition_by: ["date"], keep: ["id"], threshold: 0.5 } };
    const described = async (): Promise<Row[]> => {
      expect(await run(settings)).toEqual({ exitCode: 0, stderr: "" });
      expect(await files()).toEqual(["date=2026-11-26/part-00000.parquet"]);
      return predictions("SELECT column_name, column_type FROM (DESCRIBE SELECT * FROM $predictions)");
    };
    await makeTable(folder.input("data"), table(100));
    const usual = await described();
    await makeTable(folder.input("data"), table(0));
    expect(await described()).toEqual(usual);
    expect(await report()).toMatchObject({ rows: 0, predicted: 0 });
  });
});

describe("a bad row", () => {
  const dirty = `SELECT i AS id, CASE WHEN i = 4999 THEN NULL ELSE i % 4 END AS grade, 1.0 AS amount,
    CASE WHEN i = 7000 THEN NULL ELSE 'north' END AS city FROM range(9000) t(i)`;

  it("fails the step with the file's name and the row, the first of all", async () => {
    await makeTable(folder.input("data"), dirty);
    await makeColumnModel();
    const { exitCode, stderr } = await run();
    expect(exitCode).toBe(1);
    expect(stderr).toMatch(/^error: INVALID_DATA Row 5000 of data: `grade` is missing[\s\S]*on_bad_row: skip/);
  });

  it("is set aside as it came when the step says so, and the others keep their places", async () => {
    await makeTable(folder.input("data"), dirty);
    await makeColumnModel();
    expect(await run({ with: { on_bad_row: "skip", keep: ["id"] } })).toEqual({ exitCode: 0, stderr: "" });
    expect(
      await query(`SELECT _file, _row, _column, id, amount FROM read_parquet('${folder.output("rejects")}')`),
    ).toEqual([
      { _file: "data", _row: 5000, _column: "grade", id: 4999, amount: 1 },
      { _file: "data", _row: 7001, _column: "city", id: 7000, amount: 1 },
    ]);
    expect(
      await predictions("SELECT count(*) AS n, bool_and(score = 101 + 10 * (id % 4)) AS aligned FROM $predictions"),
    ).toEqual([{ n: 8998, aligned: true }]);
    expect(await report()).toMatchObject({ rows: 9000, predicted: 8998, rejected: 2 });
  });

  it("that makes the model fail is found within its batch", async () => {
    await makeTable(
      folder.input("data"),
      `SELECT CASE WHEN i IN (3000, 3001) THEN 9 ELSE 1 END AS grade, 1.0 AS amount, 'north' AS city FROM range(5000) t(i)`,
    );
    await makeColumnModel();
    expect((await run()).stderr).toMatch(/INVALID_DATA Row 3001 of data: makes the model fail: .*(idx|indices|Gather)/);
    expect((await run({ with: { on_bad_row: "skip" } })).exitCode).toBe(0);
    expect(await report()).toMatchObject({ rejected: 2, rejectedBy: [{ column: null, rows: 2 }] });
    expect(await predictions("SELECT DISTINCT score FROM $predictions")).toEqual([{ score: 111 }]);
  });

  it("of a text file is one whose number can not be read, also where a missing one is allowed", async () => {
    const lines = Array.from(
      { length: 50 },
      (_, row) => `north,${row % 4},${row === 30 ? "n/a" : row === 31 ? "" : row}`,
    );
    await writeFile(folder.input("data"), `city,grade,amount\n${lines.join("\n")}\n`);
    await makeColumnModel();
    expect((await run()).stderr).toMatch(/Row 31 of data: `amount` is no number/);
    expect((await run({ with: { on_bad_row: "skip" } })).exitCode).toBe(0);
    expect(await report()).toMatchObject({ rows: 50, rejected: 1, notFinite: 1 });
  });

  it("holds an infinity, or a fraction where the model takes whole numbers", async () => {
    await makeColumnModel();
    await makeTable(folder.input("data"), "SELECT 1 AS grade, 'inf'::DOUBLE AS amount, 'north' AS city");
    expect((await run()).stderr).toMatch(/`amount` is Infinity, which is no finite number/);
    await makeTable(folder.input("data"), "SELECT 1.5 AS grade, 1.0 AS amount, 'north' AS city");
    expect((await run()).stderr).toMatch(/`grade` is 1.5, the model takes whole numbers/);
  });
});

describe("what can not be predicted", () => {
  it("names every column that is missing or of another type", async () => {
    await makeTable(folder.input("data"), "SELECT 'one' AS a, 1 AS b, 1 AS d");
    await makeForest();
    const { exitCode, stderr } = await run();
    expect(exitCode).toBe(1);
    expect(stderr).toMatch(/SIGNATURE_MISMATCH.*`a` is VARCHAR, the model takes double; `c` is missing/);
  });
  it("names columns to keep that are not there, and columns of two meanings", async () => {
    await makeTable(folder.input("data"), `SELECT *, 1 AS score FROM (${table(10)})`);
    await makeForest();
    expect((await run({ with: { keep: ["gone"] } })).stderr).toMatch(/`data` has no column `gone`/);
    expect((await run({ with: { keep: ["score"] } })).stderr).toMatch(/two columns named `score`/);
    expect((await run({ with: { outputs: ["label"] } })).stderr).toMatch(/no output tensor `label`/);
  });
  it("is a model without a graph, a damaged file, an empty folder", async () => {
    await makeTable(folder.input("data"), table(5000));
    await makeForest();
    await truncate(folder.input("data"), 20_000);
    expect((await run()).stderr).toMatch(/INVALID_DATA data can not be read as a table/);
    await writeFile(join(folder.input("model"), "model.onnx"), "no graph");
    expect((await run()).stderr).toMatch(/INVALID_DATA The ONNX graph of `model` can not be loaded/);
    await rm(join(folder.input("model"), "signature.json"));
    await writeFile(
      join(folder.input("model"), "MLmodel"),
      "flavors:\n  python_function: { loader_module: mlflow.sklearn }\n",
    );
    expect((await run()).stderr).toMatch(/INVALID_DATA The MLflow model `model` was logged without the names/);
    const inputs = JSON.stringify([{ type: "double", name: "a" }]);
    await writeFile(
      join(folder.input("model"), "MLmodel"),
      `flavors:\n  python_function: { loader_module: mlflow.sklearn }\nsignature: { inputs: '${inputs}' }\n`,
    );
    expect((await run()).stderr).toMatch(/NOT_INSTALLED The MLflow model `model` needs its Python environment/);
    await makeForest();
    await rm(folder.input("data"));
    await mkdir(folder.input("data"));
    expect((await run()).stderr).toMatch(/INVALID_DATA There is nothing to predict/);
  });
});

describe("a step that is killed", () => {
  const settings = { keepsCheckpoint: true, with: { part_rows: 2048, batch_rows: 256, keep: ["id"] } };

  it("goes on with the parts that are whole, to the same bytes", async () => {
    await makeData(folder.input("data"), table(40_000));
    await writeModelFolder(
      folder.input("model"),
      treeModel({ columns: 4, trees: 300, depth: 7, seed: 3 }),
      matrixSignature(columns),
    );
    const main = fileURLToPath(new URL("../builtin-step-main.ts", import.meta.url));
    const environment = { ...process.env, ...folder.environment(settings) };
    const child = spawn(process.execPath, [main, "batch-predict"], { env: environment, stdio: "ignore" });
    const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()));
    const units = join(folder.checkpoint, "units");
    const finished = async (): Promise<string[]> =>
      (await readdir(units).catch(() => [])).filter((name) => /^\d+\.json$/.test(name));
    await vi.waitFor(async () => expect((await finished()).length).toBeGreaterThan(1), {
      timeout: 60_000,
      interval: 5,
    });
    child.kill("SIGKILL");
    await ended;
    const before = (await finished()).length;
    expect(before).toBeLessThan(20);
    expect(await run(settings)).toEqual({ exitCode: 0, stderr: "" });
    expect(await readFile(folder.events, "utf8")).toMatch(/An earlier attempt has predicted \d+ of 40000 rows/);
    const resumed = await artifactDigest(folder.output("predictions"));
    expect(await files()).toHaveLength(20);
    await rm(folder.checkpoint, { recursive: true });
    await rm(join(folder.root, "outputs"), { recursive: true });
    await run(settings);
    expect(await artifactDigest(folder.output("predictions"))).toBe(resumed);
  });

  it("does not take the parts of another model or other data", async () => {
    await makeData(folder.input("data"), table(6000));
    await makeForest();
    await run(settings);
    const first = await artifactDigest(folder.output("predictions"));
    await writeModelFolder(
      folder.input("model"),
      treeModel({ columns: 4, trees: 60, depth: 4, seed: 4 }),
      matrixSignature(columns),
    );
    await run(settings);
    expect(await artifactDigest(folder.output("predictions"))).not.toBe(first);
  });
});
