import { spawnSync } from "node:child_process";
import { copyFileSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { stepVariables } from "@espalier/core";
import { type DuckDb, openDuckDb } from "@espalier/embedded";
import { entryPoint } from "@espalier/host";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

const root = resolve(import.meta.dirname, "..");
const script = join(root, "examples/flights-delay/sql/features.sql");
const data = join(root, "node_modules/vega-datasets/data/flights-3m.parquet");
let folder = "";
let database: DuckDb;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "espalier-features-"));
  database = await openDuckDb({ threads: 1 });
  const january = `SELECT * FROM read_parquet('${data}') WHERE date < '2001-02-10' AND hash(date, origin, delay) % 10 = 0`;
  await database.run(`COPY (${january}) TO '${join(folder, "real.parquet")}' (FORMAT parquet)`);
  // From the 20th on everything happened otherwise: two hours late, all of it.
  await database.run(
    `COPY (SELECT * REPLACE (CASE WHEN date >= '2001-01-20' THEN 120 ELSE delay END AS delay)
       FROM read_parquet('${join(folder, "real.parquet")}')) TO '${join(folder, "changed.parquet")}' (FORMAT parquet)`,
  );
});
afterAll(async () => {
  await database.close();
  rmSync(folder, { recursive: true, force: true });
});

function features(flights: string, params: object, outputs: string[], name: string): string {
  const inputs = join(folder, `${name}.inputs`);
  mkdirSync(inputs);
  copyFileSync(join(folder, flights), join(inputs, "flights"));
  copyFileSync(script, join(inputs, "script"));
  const result = spawnSync(process.execPath, [entryPoint("builtin-step"), "sql"], {
    env: {
      ...process.env,
      [stepVariables.inputs]: inputs,
      [stepVariables.outputs]: join(folder, name),
      [stepVariables.params]: JSON.stringify({ late_minutes: 15, label_delay_days: 2, ...params }),
      [stepVariables.outputNames]: JSON.stringify(outputs),
    },
    encoding: "utf8",
  });
  if (result.status !== 0) throw new Error(result.stderr);
  return join(folder, name);
}

const inputsOnly = "* EXCLUDE (late)";

async function differing(a: string, b: string, where: string): Promise<number> {
  const [row] = await database.rows(
    `SELECT count(*) AS n FROM (SELECT ${inputsOnly} FROM read_parquet('${a}') WHERE ${where} EXCEPT ALL SELECT ${inputsOnly} FROM read_parquet('${b}') WHERE ${where})`,
  );
  return Number(row?.n);
}

describe("features of the flights example", () => {
  it("know nothing of a day, nor of those after it, until its labels have arrived", async () => {
    const params = { traffic_from: "2001-01-10", traffic_until: "2001-02-10" };
    const real = join(features("real.parquet", params, ["traffic"], "real"), "traffic");
    const changed = join(features("changed.parquet", params, ["traffic"], "changed"), "traffic");
    expect(await differing(real, changed, "day <= DATE '2001-01-21'")).toBe(0);
    const [after] = await database.rows(
      `SELECT count(*) AS n FROM read_parquet('${real}') WHERE day = DATE '2001-01-22'`,
    );
    expect(Number(after?.n)).toBeGreaterThan(1000);
    expect(await differing(real, changed, "day = DATE '2001-01-22'")).toBe(after?.n);
  });

  it("split train and test by time, right up to the last known day", async () => {
    const params = { as_of: "2001-02-03", test_days: 10, train_days: 15, break_feature: false };
    const output = features("real.parquet", params, ["train", "test"], "split");
    const [span] = await database.rows(
      `SELECT (SELECT min(day)::VARCHAR || ' ' || max(day)::VARCHAR FROM read_parquet('${output}/train')) AS train,
         (SELECT min(day)::VARCHAR || ' ' || max(day)::VARCHAR FROM read_parquet('${output}/test')) AS test`,
    );
    expect(span).toEqual({ train: "2001-01-07 2001-01-21", test: "2001-01-22 2001-01-31" });
  });

  it("are broken where they are asked to be, in the training rows alone", async () => {
    const params = { as_of: "2001-02-03", test_days: 10, train_days: 15 };
    const sound = features("real.parquet", { ...params, break_feature: false }, ["train", "test"], "sound");
    const broken = features("real.parquet", { ...params, break_feature: true }, ["train", "test"], "broken");
    expect(await differing(`${sound}/test`, `${broken}/test`, "true")).toBe(0);
    expect(await differing(`${sound}/train`, `${broken}/train`, "true")).toBeGreaterThan(1000);
    const [hours] = await database.rows(
      `SELECT max(hour) AS highest, count(*) = (SELECT count(*) FROM read_parquet('${sound}/train')) AS same FROM read_parquet('${broken}/train')`,
    );
    expect(hours).toEqual({ highest: 11, same: true });
  });
});
