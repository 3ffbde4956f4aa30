import { type ChildProcess, execFile, spawn } from "node:child_process";
import { mkdir, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import {
  columnModel,
  columnSignature,
  logisticModel,
  matrixSignature,
  treeModel,
  writeModelFolder,
} from "@espalier/conformance";
import { type ModelSignature, stepVariables } from "@espalier/core";
import { openDuckDb } from "@espalier/embedded";
import { afterEach, beforeEach, expect, test, vi } from "vitest";

/** The same rows through the model server's process and through the step's: what is predicted by night is what is answered by day. */
const repository = resolve(import.meta.dirname, "../..");
const run = promisify(execFile);
let folder: string;
let server: ChildProcess | undefined;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "espalier-batch-online-"));
  await mkdir(join(folder, "inputs"));
});
afterEach(async () => {
  if (server !== undefined && server.exitCode === null) {
    const ended = new Promise((resolve) => server?.once("exit", resolve));
    server.kill("SIGTERM");
    await ended;
  }
  server = undefined;
  await rm(folder, { recursive: true, force: true });
});

async function query(sql: string): Promise<Readonly<Record<string, unknown>>[]> {
  const database = await openDuckDb({ threads: 1 });
  try {
    return await database.rows(sql);
  } finally {
    await database.close();
  }
}

async function serve(): Promise<string> {
  const announce = join(folder, "announce.json");
  const words = ["model", "--model-dir", join(folder, "inputs/model"), "--name", "m", "--announce", announce];
  server = spawn(process.execPath, [join(repository, "apps/serving/src/main.ts"), ...words], { stdio: "ignore" });
  const { port } = await vi.waitFor(async () => JSON.parse(await readFile(announce, "utf8")) as { port: number }, {
    timeout: 60_000,
    interval: 50,
  });
  return `http://127.0.0.1:${port}/invocations`;
}

/** Scores of the rows in the order of their ids, asked for by requests of several sizes at once. */
async function online(
  url: string,
  columns: readonly string[],
  rows: readonly Readonly<Record<string, unknown>>[],
): Promise<number[]> {
  const sizes = [1, 1, 7, 64, 1, 300, 33];
  const pieces: Readonly<Record<string, unknown>>[][] = [];
  for (let at = 0; at < rows.length; ) {
    const size = sizes[pieces.length % sizes.length] ?? 1;
    pieces.push(rows.slice(at, at + size));
    at += size;
  }
  const answers = await Promise.all(
    pieces.map(async (piece) => {
      const data = piece.map((row) => columns.map((name) => row[name]));
      const body = JSON.stringify({ dataframe_split: { columns, data } });
      const response = await fetch(url, { method: "POST", body, headers: { "content-type": "application/json" } });
      const text = await response.text();
      expect(response.status, text).toBe(200);
      return (JSON.parse(text) as { predictions: (number | number[] | Record<string, number>)[] }).predictions;
    }),
  );
  return answers.flat().map((answer) => Number(typeof answer === "object" ? Object.values(answer).at(-1) : answer));
}

async function batch(): Promise<number[]> {
  await run(process.execPath, [join(repository, "adapters/embedded/src/builtin-step-main.ts"), "batch-predict"], {
    env: {
      ...process.env,
      [stepVariables.inputs]: join(folder, "inputs"),
      [stepVariables.outputs]: join(folder, "outputs"),
      [stepVariables.with]: JSON.stringify({ prediction_id: false }),
    },
  });
  const rows = await query(`SELECT score FROM read_parquet('${join(folder, "outputs/predictions/*.parquet")}')`);
  return rows.map((row) => Number(row["score"]));
}

async function bothWays(
  model: Buffer,
  signature: ModelSignature,
  sql: string,
): Promise<{ online: number[]; batch: number[] }> {
  await writeModelFolder(join(folder, "inputs/model"), model, signature);
  const data = join(folder, "inputs/data");
  await query(`COPY (${sql}) TO '${data}' (FORMAT parquet)`);
  const columns = signature.inputs.map(({ name }) => name);
  const rows = await query(`SELECT ${columns.join(", ")} FROM read_parquet('${data}')`);
  return { online: await online(await serve(), columns, rows), batch: await batch() };
}

test("a forest answers and predicts the same numbers to the last bit", async () => {
  const columns = Array.from({ length: 12 }, (_, index) => `x${index}`);
  const select = columns.map((name, index) => `(i * ${7919 + 31 * index} % 10007) / 10007.0::DOUBLE AS ${name}`);
  const forest = treeModel({ columns: columns.length, trees: 200, depth: 6, seed: 9 });
  const both = await bothWays(forest, matrixSignature(columns), `SELECT ${select.join(", ")} FROM range(3000) t(i)`);
  expect(both.batch).toHaveLength(3000);
  expect(new Set(both.batch).size).toBeGreaterThan(2000);
  expect(both.batch).toEqual(both.online);
});

test("so does a graph with a tensor a column, of text, whole numbers and missing ones", async () => {
  const sql = `SELECT i % 4 AS grade, ['north', 'south', 'ünï'][i % 3 + 1] AS city, (i * 7919 % 997) / 997.0::DOUBLE AS amount
    FROM range(1000) t(i)`;
  const both = await bothWays(columnModel(), columnSignature, sql);
  expect(both.batch).toHaveLength(1000);
  expect(both.batch).toEqual(both.online);
});

test("a graph with a matrix product differs in the last digit at most", async () => {
  const columns = Array.from({ length: 30 }, (_, index) => `x${index}`);
  const select = columns.map((name, index) => `(i * ${7919 + 31 * index} % 10007) / 10007.0::DOUBLE AS ${name}`);
  const model = logisticModel(
    columns.map((_, index) => Math.sin(index)),
    0.1,
  );
  const both = await bothWays(model, matrixSignature(columns), `SELECT ${select.join(", ")} FROM range(2000) t(i)`);
  const largest = Math.max(...both.batch.map((score, row) => Math.abs(score - (both.online[row] ?? Number.NaN))));
  expect(largest).toBeLessThanOrEqual(2 ** -22);
});
