import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openDuckDb } from "@espalier/embedded";
import { entryPoint } from "@espalier/host";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { days, rowsADay, writeSimulationProject } from "./project.ts";

let project = "";

interface Simulation {
  id: string;
  state: string;
  daysDone: number;
  daysTotal: number;
  rows: number;
  requests: number;
  errors: number;
}

function espalier(...words: string[]): { status: number | null; text: string } {
  const result = spawnSync(process.execPath, [entryPoint("cli"), ...words, "--project", project], { encoding: "utf8" });
  return { status: result.status, text: result.stdout + result.stderr };
}

function json<Answer>(...words: string[]): Answer {
  const result = spawnSync(process.execPath, [entryPoint("cli"), ...words, "--json", "--project", project], {
    encoding: "utf8",
  });
  if (result.status !== 0) throw new Error(`${words.join(" ")}: ${result.stderr}`);
  return JSON.parse(result.stdout) as Answer;
}

/** Kills the command, which is the control plane, as soon as that many days have labels: in the midst of a later day. */
async function killAfter(labelledDays: number): Promise<void> {
  const labels = join(project, ".espalier/endpoints/flights/labels");
  const child = spawn(process.execPath, [entryPoint("cli"), "simulate", "flights", "--project", project], {
    stdio: "ignore",
  });
  const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  const count = (): number => {
    try {
      return readdirSync(labels).filter((name) => name.endsWith(".parquet")).length;
    } catch {
      return 0;
    }
  };
  while (count() < labelledDays && child.exitCode === null) {
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  child.kill("SIGKILL");
  await ended;
}

beforeAll(async () => {
  project = mkdtempSync(join(tmpdir(), "espalier-simulation-"));
  await writeSimulationProject(project);
});
afterAll(() => {
  espalier("deploy", "flights", "--delete");
  rmSync(project, { recursive: true, force: true });
});

describe("a simulation through the command line", () => {
  it("survives two kills, and ends as if nothing had happened", { timeout: 180_000 }, async () => {
    const trained = espalier("run", "train");
    expect(trained.status, trained.text).toBe(0);
    await killAfter(2);
    await killAfter(5);
    const end = json<Simulation>("simulate", "flights");
    expect(end).toMatchObject({ state: "succeeded", daysDone: days + 3, rows: days * rowsADay, errors: 0 });

    const directory = join(project, ".espalier/endpoints/flights");
    const database = await openDuckDb({ threads: 1 });
    const [row] = await database.rows(
      `SELECT count(DISTINCT c.prediction_id) AS predictions, count(DISTINCT l.prediction_id) AS labels,
         count(DISTINCT c.prediction_id) FILTER (WHERE c.prediction_id = l.prediction_id) AS both
       FROM read_parquet('${directory}/capture/parquet/*.parquet') c
       FULL JOIN read_parquet('${directory}/labels/*.parquet') l USING (prediction_id)`,
    );
    await database.close();
    // The last day is captured in segments that no monitor has looked at; all that is in Parquet has its label.
    expect(row?.labels).toBe(days * rowsADay);
    expect(row?.both).toBe(row?.predictions);
    expect(Number(row?.predictions)).toBeGreaterThanOrEqual(9 * rowsADay);
  });

  it("judged each window once, and started one retraining by alert and one by schedule", () => {
    const calibration = json<{ windowFrom: string; status: string; rows: number; summary: string }[]>(
      "monitor",
      "show",
      "calibration",
    );
    expect(calibration.map((report) => [report.windowFrom, report.status, report.rows]).reverse()).toEqual([
      ["2001-04-01", "ok", 3 * rowsADay],
      ["2001-04-04", "alert", 3 * rowsADay],
      ["2001-04-07", "alert", 3 * rowsADay],
    ]);
    expect(calibration[0]?.summary).toContain("within the cool-down");
    const { items: runs } = json<{ items: { pipeline: string; logicalDate?: string; trigger: { kind: string } }[] }>(
      "runs",
      "list",
    );
    const started = runs.filter((run) => run.pipeline === "train" && run.trigger.kind !== "manual");
    expect(started.map((run) => [run.trigger.kind, run.logicalDate?.slice(0, 10)]).sort()).toEqual([
      ["backfill", "2001-04-05"],
      ["monitor", "2001-04-09"],
    ]);
  });

  it("has a report that tells all of it in one file", () => {
    const page = join(project, "report.html");
    const { status, text } = espalier("report", "--output", page);
    expect(status, text).toBe(0);
    expect(text).toContain("calibration (performance): 3 windows, 2 alerts");
    expect(text).toContain("From one prediction back to its rows");
  });
});
