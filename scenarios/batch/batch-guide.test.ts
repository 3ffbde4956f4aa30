import { execFile } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { matrixSignature, treeModel, writeModelFolder } from "@espalier/conformance";
import { createClient } from "@espalier/contract";
import { openDuckDb } from "@espalier/embedded";
import { startControlPlane } from "@espalier/server";
import { afterAll, beforeAll, expect, test, vi } from "vitest";

/** docs/batch-inference.md, done: its pipeline over some days, a day again, a backfill, and the command without a pipeline. */
const main = resolve(import.meta.dirname, "../../apps/cli/src/main.ts");
const guide = readFileSync(new URL("../../docs/batch-inference.md", import.meta.url), "utf8");
const snippets = Object.fromEntries(
  [...guide.matchAll(/^```\S+ (\S+)\n([\s\S]*?)^```$/gm)].map(([, name, text]) => [name ?? "", text ?? ""]),
);
let folder: string;

type Row = Awaited<ReturnType<Awaited<ReturnType<typeof openDuckDb>>["rows"]>>[number];

const columns = ["distance", "hour", "rain"];
const train = `
name: train
steps:
  train: { run: "cp -r . \${{ outputs.model }}", source: ./model, outputs: { model: model } }
  register: { uses: register, inputs: { model: train.model }, with: { name: rides, alias: champion }, gate: none }
`;

interface Answer {
  code: number;
  out: string;
  error: string;
}

function espalier(...words: string[]): Promise<Answer> {
  return new Promise((resolve) => {
    execFile(process.execPath, [main, ...words], { cwd: folder }, (error, out, told) =>
      resolve({ code: error === null ? 0 : Number(error.code), out, error: told }),
    );
  });
}

async function json(...words: string[]): Promise<Record<string, unknown>> {
  const { code, out, error } = await espalier(...words, "--json");
  // What a run that failed says of itself stands in `out`.
  expect({ code, error, out: code === 0 ? "" : out }).toEqual({ code: 0, error: "", out: "" });
  return JSON.parse(out) as Record<string, unknown>;
}

async function sql(text: string): Promise<Row[]> {
  const database = await openDuckDb({ threads: 1 });
  try {
    return await database.rows(text);
  } finally {
    await database.close();
  }
}

/** As `espalier schedule backfill`, by a control plane that this test ends. */
async function backfill(from: string, to: string): Promise<void> {
  const { url, token, close } = await startControlPlane({ projectDirectory: folder });
  try {
    const client = createClient({ url, token });
    const { runs } = await client.call("schedules.backfill", { params: { pipeline: "score" }, body: { from, to } });
    expect(runs).toHaveLength(1);
    const runId = runs[0]?.runId ?? "";
    await vi.waitFor(
      async () => expect((await client.call("runs.get", { params: { runId } })).run.state).toBe("succeeded"),
      { timeout: 120_000, interval: 100 },
    );
  } finally {
    await close();
  }
}

const rides = (fare: number): string => `COPY (SELECT 'r' || i AS ride, DATE '2026-11-20' + (i % 3)::INTEGER AS day,
  (i * 7919 % 101) / 101.0 * ${fare} AS distance, i % 24 / 24.0 AS hour, CASE WHEN i = 30 THEN NULL ELSE i % 2 END AS rain
  FROM range(3000) t(i)) TO '${join(folder, "data/rides.parquet")}' (FORMAT parquet)`;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "espalier-batch-guide-"));
  const files = { "espalier.yaml": "project: rides\n", "pipelines/train.yaml": train, ...snippets };
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), text);
  }
  mkdirSync(join(folder, "data"));
  const forest = treeModel({ columns: 3, trees: 20, depth: 4, seed: 5 });
  await writeModelFolder(join(folder, "model"), forest, matrixSignature(columns));
  await sql(rides(1));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function days(): Promise<Row[]> {
  await json("dataset", "checkout", "ride-predictions", "./predictions", "--overwrite");
  return sql(
    `SELECT "date"::VARCHAR AS day, count(*)::INTEGER AS n, sum(score)::DECIMAL(18, 6)::VARCHAR AS total
     FROM read_parquet('${join(folder, "predictions")}/*/*.parquet', hive_partitioning = true) GROUP BY 1 ORDER BY 1`,
  );
}

test("the guide's pipeline predicts each day into a partition of its own, and a day again in place of it", async () => {
  expect(Object.keys(snippets)).toEqual(["pipelines/score.yaml", "sql/day.sql"]);
  await json("run", "train");
  await json("run", "score", "-p", "date=2026-11-20");
  await json("run", "score", "-p", "date=2026-11-21");
  const first = await days();
  // The ride without `rain` is of the first day.
  expect(first.map(({ day, n }) => [day, n])).toEqual([
    ["2026-11-20", 999],
    ["2026-11-21", 1000],
  ]);
  await sql(rides(0.5));
  await json("run", "score", "-p", "date=2026-11-20");
  const again = await days();
  expect(again[0]?.["n"]).toBe(999);
  expect(again[0]?.["total"]).not.toBe(first[0]?.["total"]);
  expect(again[1]).toEqual(first[1]);
  // The content of the first version of both days, once more: a new version all the same, or readers would stay with the second.
  await sql(rides(1));
  await json("run", "score", "-p", "date=2026-11-20");
  expect(await days()).toEqual(first);
  expect(await json("dataset", "show", "ride-predictions")).toMatchObject({ version: 4 });
  await backfill("2026-11-22", "2026-11-23");
  expect((await days()).map(({ day }) => day)).toEqual(["2026-11-20", "2026-11-21", "2026-11-22"]);
});

test("the command predicts files where they lie, and replaces nothing but predictions", async () => {
  const output = join(folder, "scored");
  const words = ["predict", "rides@champion", "--batch", "--input", "data/rides.parquet", "--output", output];
  const failed = await espalier(...words);
  expect([failed.code, failed.error]).toEqual([
    1,
    expect.stringMatching(/Row 31 of data: `rain` is missing[\s\S]*skip/),
  ]);
  const answer = await json(...words, "--skip-bad-rows", "--keep", "ride", "--threshold", "0.5");
  expect(answer).toMatchObject({ model: "rides", version: 1, report: { rows: 3000, predicted: 2999, rejected: 1 } });
  expect(await sql(`SELECT ride, _column FROM '${output}.rejects.parquet'`)).toEqual([
    { ride: "r30", _column: "rain" },
  ]);
  const [row] = await sql(`SELECT * FROM '${output}/part-00000.parquet' LIMIT 1`);
  expect(Object.keys(row ?? {})).toEqual(["prediction_id", "ride", "score", "label", "model_name", "model_version"]);
  // Rows that were set aside before are none of the next predictions'.
  const clean = join(folder, "clean.parquet");
  await sql(
    `COPY (SELECT * FROM '${join(folder, "data/rides.parquet")}' WHERE rain IS NOT NULL) TO '${clean}' (FORMAT parquet)`,
  );
  await json("predict", "rides@champion", "--batch", "--input", clean, "--output", output);
  expect(existsSync(`${output}.rejects.parquet`)).toBe(false);
  const mixed = await espalier(...words, "--skip-bad-rows", "--partition", "date=2026-11-20");
  expect([mixed.code, mixed.error]).toEqual([5, expect.stringMatching(/ALREADY_EXISTS[\s\S]*without partitions/)]);
  const dated = join(folder, "dated");
  await json(...words.slice(0, -1), dated, "--skip-bad-rows", "--partition", "date=2026-11-20");
  await json(...words.slice(0, -1), dated, "--skip-bad-rows", "--partition", "date=2026-11-21");
  expect(readdirSync(dated).filter((name) => !name.startsWith("."))).toEqual(["date=2026-11-20", "date=2026-11-21"]);
  cpSync(join(folder, "data"), join(folder, "precious"), { recursive: true });
  const refused = await espalier(
    "predict",
    "rides@1",
    "--batch",
    "--input",
    "data",
    "--output",
    join(folder, "precious"),
  );
  expect([refused.code, refused.error]).toEqual([
    5,
    expect.stringMatching(/ALREADY_EXISTS[\s\S]*holds no predictions/),
  ]);
  expect(readdirSync(join(folder, "precious"))).toEqual(["rides.parquet"]);
  const unknown = await espalier("predict", "rides", "--batch", "--input", "data", "--output", output);
  expect([unknown.code, unknown.error]).toEqual([6, expect.stringMatching(/no endpoint rides[\s\S]*rides@3/)]);
});
