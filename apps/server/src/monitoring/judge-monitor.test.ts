import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadEmbeddedParts } from "@espalier/host";
import { literal } from "@espalier/quality";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { datedParameters } from "./dated-parameters.ts";
import { judgeMonitor, judgeWindowNow } from "./judge-monitor.ts";
import { monitorSettings } from "./monitor-settings.ts";
import { firstDay, watch } from "./testing/simulated-flights.ts";
import { dayMilliseconds, dueWindows } from "./windows.ts";

let directory = "";
const paths = { captured: "", labels: "", reference: "", gateAuc: 0.7 };

/** Two weeks of 200 rows a day, whose score is half a label and half noise; labels of the second week's last day are missing. */
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "espalier-judge-"));
  for (const name of ["captured", "labels", "reference"] as const) paths[name] = join(directory, `${name}.parquet`);
  const { openDuckDb } = await loadEmbeddedParts();
  const database = await openDuckDb({ threads: 1 });
  await database.run(
    `CREATE TABLE rows AS SELECT 'p' || i AS prediction_id, TIMESTAMP '2001-04-01' + INTERVAL (i * 432) SECOND AS event_time,
       (hash(i) % 5 = 0)::INT AS label, 0.4 * (hash(i) % 5 = 0)::INT + 0.3 * (hash(i + 1) % 100) / 100 AS score, hash(i) % 24 AS hour
     FROM range(2800) r(i)`,
  );
  // The first day was captured twice, as after a crash.
  await database.run(
    `COPY (SELECT prediction_id, 'm' AS model, '3' AS version, event_time, event_time AS served_at, hour, score FROM rows
       UNION ALL SELECT prediction_id, 'm', '3', event_time, event_time + INTERVAL 1 HOUR, hour, score FROM rows WHERE event_time < '2001-04-02')
     TO ${literal(paths.captured)} (FORMAT parquet)`,
  );
  await database.run(
    `COPY (SELECT prediction_id, label, CAST(event_time AS DATE) + INTERVAL 2 DAY AS arrived_at FROM rows WHERE event_time < '2001-04-14')
     TO ${literal(paths.labels)} (FORMAT parquet)`,
  );
  await database.run(`COPY (SELECT hour FROM rows) TO ${literal(paths.reference)} (FORMAT parquet)`);
  await database.close();
});
afterAll(() => rm(directory, { recursive: true, force: true }));

const day = (number: number) => firstDay + number * dayMilliseconds;
const bias = (more: Record<string, unknown> = {}) =>
  monitorSettings("bias", {
    endpoint: "e",
    kind: "performance",
    thresholds: { bias: 0.01 },
    with: { label_delay: "2d", min_rows: 100, ...more },
    pipeline: "train",
    params: { as_of: "${{ run.date }}" },
  });

describe("judging windows", () => {
  it("waits for the labels, judges each window once, and counts a prediction once", async () => {
    const { ports, runs } = watch(paths);
    expect(await judgeMonitor(ports, bias(), day(8))).toEqual([]);
    const [first, ...others] = await judgeMonitor(ports, bias(), day(9));
    expect(others).toEqual([]);
    expect(first?.judgement).toMatchObject({ rows: 1400, served: "m@3", outcome: "crossed" });
    expect(first).toMatchObject({ status: "alert", runId: "run-1" });
    expect(runs).toEqual([
      expect.objectContaining({ params: { as_of: "2001-04-10" }, report: "bias/2001-04-01/2001-04-08" }),
    ]);
    expect(await judgeMonitor(ports, bias(), day(10))).toEqual([]);
  });

  it("says so when too few labels are there", async () => {
    const { ports } = watch(paths);
    const judged = await judgeMonitor(ports, bias({ min_label_share: 0.95 }), day(16));
    expect(judged.map((window) => window.status)).toEqual(["alert", "insufficient"]);
    expect(judged[1]?.judgement.summary).toBe("1200 of 1400 predictions have a label; that is too few to say.");
  });

  it("leaves windows without any traffic for later", async () => {
    const { ports } = watch(paths);
    expect(await judgeMonitor(ports, bias(), day(400))).toHaveLength(2);
    expect(await judgeMonitor(ports, bias(), day(401))).toEqual([]);
  });

  it("starts no second run when a window is judged again", async () => {
    const { ports, runs } = watch(paths);
    const window = { start: day(0), end: day(7) };
    await judgeWindowNow(ports, bias({ cooldown: 0 }), window, day(9));
    const again = await judgeWindowNow(ports, bias({ cooldown: 0 }), window, day(9));
    expect(again.runId).toBe("run-1");
    expect(runs).toHaveLength(1);
  });

  it("keeps to the cool-down, and says why nothing was started", async () => {
    const { ports, runs } = watch(paths);
    const judged = await judgeMonitor(ports, bias({ cooldown: "14d", min_label_share: 0.5 }), day(16));
    expect(runs).toHaveLength(1);
    expect(judged[1]?.judgement.action).toContain("within the cool-down of 14 days");
  });

  it("finds no drift of a table from itself, and names a column that vanished", async () => {
    const { ports } = watch(paths);
    const drift = (columns: string[]) =>
      monitorSettings("inputs", {
        endpoint: "e",
        kind: "drift",
        thresholds: { psi: 0.2 },
        with: { reference: "features.train", columns, min_rows: 100 },
      });
    const [calm] = await judgeMonitor(ports, drift(["hour"]), day(7));
    expect(calm).toMatchObject({ status: "ok", judgement: { rows: 1400 } });
    await expect(judgeMonitor(watch(paths).ports, drift(["weekday"]), day(7))).rejects.toMatchObject({
      code: "INVALID_DATA",
      at: "weekday",
    });
  });
});

describe("settings", () => {
  it("name the place of what is wrong", () => {
    const of = (config: object) => () => monitorSettings("m", { endpoint: "e", kind: "performance", ...config });
    expect(of({ thresholds: { acu_margin: 1 } })).toThrow(expect.objectContaining({ at: "monitors.m.thresholds" }));
    expect(of({ thresholds: { bias: 1 }, with: { confidence: 2 } })).toThrow(
      expect.objectContaining({ at: "monitors.m.with.confidence" }),
    );
    expect(of({})).toThrow(expect.objectContaining({ code: "INVALID_CONFIG", at: "monitors.m.thresholds" }));
    expect(of({ kind: "service" })).toThrow(expect.objectContaining({ code: "UNSUPPORTED", at: "monitors.m.kind" }));
  });

  it("give the run's date to parameters", () => {
    const params = { as_of: "${{ run.date }}", name: "until ${{run.date}}", trees: 60 };
    expect(datedParameters(params, new Date("2001-05-08T06:00:00Z"))).toEqual({
      as_of: "2001-05-08",
      name: "until 2001-05-08",
      trees: 60,
    });
  });
});

describe("windows", () => {
  it("keep to the grid of the anchor", () => {
    const of = (judgedUntil: number | undefined, knownUntil: number) =>
      dueWindows(day(0), 7 * dayMilliseconds, judgedUntil, knownUntil).map(
        (window) => (window.end - day(0)) / dayMilliseconds,
      );
    expect(of(undefined, day(6))).toEqual([]);
    expect(of(undefined, day(15))).toEqual([7, 14]);
    expect(of(day(7), day(21))).toEqual([14, 21]);
    expect(of(day(21), day(21))).toEqual([]);
    expect(of(undefined, day(-1))).toEqual([]);
  });
});
