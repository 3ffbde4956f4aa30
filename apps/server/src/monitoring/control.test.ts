import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type JudgedWindow, judgeMonitor } from "./judge-monitor.ts";
import {
  type Dealt,
  dealFlights,
  exampleMonitors,
  firstDay,
  type Shift,
  type Watched,
  watch,
} from "./testing/simulated-flights.ts";
import { dayMilliseconds } from "./windows.ts";

let directory = "";
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "espalier-control-"));
});
afterAll(() => rm(directory, { recursive: true, force: true }));

/** As the simulation does it: a look at the beginning of each day, until the last labels are there. */
async function judgeDaily(dealt: Dealt): Promise<{ judged: JudgedWindow[]; runs: Watched["runs"] }> {
  const { ports, runs } = watch(dealt);
  const judged: JudgedWindow[] = [];
  for (let day = 1; day <= 7 * dealt.weeks + 3; day++) {
    for (const settings of await exampleMonitors()) {
      judged.push(...(await judgeMonitor(ports, settings, firstDay + day * dayMilliseconds)));
    }
  }
  return { judged, runs };
}

async function watchShifted(seed: number, shift: Shift): Promise<{ judged: JudgedWindow[]; runs: Watched["runs"] }> {
  return judgeDaily(await dealFlights(directory, seed, shift));
}

const alertsOf = (judged: readonly JudgedWindow[]) =>
  judged.filter((window) => window.status === "alert").map((window) => window.monitor);

describe("the monitors of the flights example", () => {
  it.each([1, 2, 3])("trigger nothing where there is no shift: days dealt anew, seed %i", async (seed) => {
    const { judged, runs } = await watchShifted(seed, {});
    expect(judged).toHaveLength(3 * 8);
    expect(judged.map((window) => window.status)).toEqual(judged.map(() => "ok"));
    expect(runs).toEqual([]);
  });

  it("alarm on inputs alone when only the hours move", async () => {
    const { judged, runs } = await watchShifted(11, { hour: "6 + hour % 12" });
    expect(new Set(alertsOf(judged))).toContain("inputs");
    expect(judged.find((window) => window.monitor === "inputs")?.judgement.summary).toContain("`hour`: psi is");
    expect(runs[0]).toMatchObject({ pipeline: "train", params: { as_of: "2001-04-08" }, monitor: "inputs" });
  });

  it("alarm on calibration after three weeks when fewer are late, and leave the inputs alone", async () => {
    const { judged, runs } = await watchShifted(12, {
      late: "CASE WHEN hash(date, origin, delay) % 10 < 5 THEN 0 ELSE late END",
    });
    const calibration = judged.filter((window) => window.monitor === "calibration").map((window) => window.status);
    expect(calibration).toEqual(["ok", "ok", "alert", "alert", "alert", "alert", "alert", "alert"]);
    expect(alertsOf(judged)).not.toContain("inputs");
    // The third week ends on the 22nd; its labels are there two days later. The next runs wait for the cool-down.
    expect(runs.map((run) => run.logicalDate.slice(0, 10))).toEqual(["2001-04-24", "2001-05-08", "2001-05-22"]);
  });

  it("alarm on ranking when scores no longer tell who is late", async () => {
    const { judged } = await watchShifted(13, { late: "(hash(date, origin, destination, delay) % 5 = 0)::INT" });
    expect(alertsOf(judged)).toContain("ranking");
  });
});
