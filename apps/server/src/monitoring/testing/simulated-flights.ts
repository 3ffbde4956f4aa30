import { join, resolve } from "node:path";
import { type DuckDb, loadEmbeddedParts, loadProject } from "@espalier/host";
import { literal } from "@espalier/quality";
import type { MonitorQueries, MonitorReportRow, MonitorRow } from "../../db/queries/monitors.ts";
import type { AlertRun, MonitorPorts } from "../judge-monitor.ts";
import { type MonitorSettings, monitorSettings } from "../monitor-settings.ts";

const root = resolve(import.meta.dirname, "../../../../..");
const flights = join(root, "node_modules/vega-datasets/data/flights-3m.parquet");
export const firstDay = Date.parse("2001-04-01");

/** What is done to the rows of the windows, not to the reference: SQL expressions over `hour`, `distance`, `late`. */
export interface Shift {
  hour?: string;
  distance?: string;
  late?: string;
}

export interface Dealt {
  captured: string;
  labels: string;
  reference: string;
  /** AUC on days that are neither in the reference nor in a window. */
  gateAuc: number;
  weeks: number;
}

/**
 * Real flights whose days were dealt anew, weekday by weekday: 12 weeks of reference, 6 weeks for the gate, 8 weeks of traffic. The score is
 * the late rate of origin and hour in the reference. Whatever differs between reference and traffic is chance, unless a shift is planted.
 */
export async function dealFlights(directory: string, seed: number, shift: Shift = {}): Promise<Dealt> {
  const { openDuckDb } = await loadEmbeddedParts();
  const database = await openDuckDb({ threads: 2, memoryLimit: "1GB" });
  const paths = ["captured", "labels", "reference"].map((name) => join(directory, `${name}-${seed}.parquet`));
  const [captured = "", labels = "", reference = ""] = paths;
  try {
    await database.run(dealSql(seed));
    await database.run(rowsSql(shift));
    const inputs = "hour, weekday, distance, origin_rate, destination_rate, hour_rate, weekday_rate";
    await copy(database, `SELECT ${inputs} FROM rows WHERE week < 12`, reference);
    // Weeks of some 14,000 rows are enough, and keep the test short.
    const served = "FROM rows WHERE week >= 18 AND hash(id) % 10 < 3";
    await copy(
      database,
      `SELECT id AS prediction_id, 'flights' AS model, '1' AS version, event_time, event_time AS served_at, ${inputs}, score ${served} ORDER BY event_time`,
      captured,
    );
    await copy(
      database,
      `SELECT id AS prediction_id, late AS label, CAST(event_time AS DATE) + INTERVAL 2 DAY AS arrived_at ${served}`,
      labels,
    );
    const [auc] = await database.rows(aucSql);
    return { captured, labels, reference, gateAuc: Number(auc?.auc), weeks: 8 };
  } finally {
    await database.close();
  }
}

/** `dealt`: each real day with the week (0 to 25) that it now belongs to. */
function dealSql(seed: number): string {
  return `CREATE TABLE flights AS SELECT date, origin, destination, distance, delay FROM read_parquet(${literal(flights)})
            WHERE date < '2001-07-01' AND delay BETWEEN -60 AND 1440 AND hash(date, origin, destination, delay) % 5 < 2;
          CREATE TABLE dealt AS SELECT day, weekday, row_number() OVER (PARTITION BY weekday ORDER BY hash(day, ${seed})) - 1 AS week
            FROM (SELECT DISTINCT CAST(date AS DATE) AS day, isodow(date) AS weekday FROM flights);
          CREATE TABLE base AS SELECT f.*, d.week, d.weekday, hour(f.date) AS real_hour, (f.delay > 15)::INT AS was_late
            FROM flights f JOIN dealt d ON d.day = CAST(f.date AS DATE) WHERE d.week < 26`;
}

function rowsSql(shift: Shift): string {
  const rate = (name: string, by: string): string =>
    `CREATE TABLE ${name} AS SELECT ${by}, (sum(was_late) + 200 * (SELECT avg(was_late) FROM base WHERE week < 12)) / (count(*) + 200) AS rate FROM base WHERE week < 12 GROUP BY ALL`;
  const planted = (expression: string | undefined, otherwise: string): string =>
    expression === undefined ? otherwise : `CASE WHEN week >= 18 THEN (${expression}) ELSE ${otherwise} END`;
  return `${rate("by_origin", "origin")}; ${rate("by_destination", "destination")}; ${rate("by_hour", "real_hour")};
          ${rate("by_weekday", "weekday")}; ${rate("by_both", "origin, real_hour")};
          CREATE TABLE rows AS WITH shifted AS (
            SELECT * EXCLUDE (hour, late), ${planted(shift.hour, "real_hour")} AS hour, ${planted(shift.distance, "CAST(distance AS DOUBLE)")} AS far,
              ${planted(shift.late, "was_late")} AS late FROM (SELECT *, real_hour AS hour, was_late AS late FROM base))
          SELECT s.week, CAST(s.weekday AS FLOAT) AS weekday, CAST(s.hour AS FLOAT) AS hour, CAST(s.far AS FLOAT) AS distance, s.late,
            'p' || row_number() OVER (ORDER BY s.date, s.origin, s.destination, s.delay, s.distance) AS id,
            TIMESTAMP '2001-04-01' + INTERVAL 1 DAY * (7 * (s.week - 18) + s.weekday % 7) + INTERVAL 1 HOUR * s.real_hour AS event_time,
            o.rate AS origin_rate, d.rate AS destination_rate, h.rate AS hour_rate, w.rate AS weekday_rate, coalesce(b.rate, o.rate) AS score
          FROM shifted s JOIN by_origin o USING (origin) JOIN by_destination d ON d.destination = s.destination
            JOIN by_hour h ON h.real_hour = s.hour JOIN by_weekday w ON w.weekday = s.weekday
            LEFT JOIN by_both b ON b.origin = s.origin AND b.real_hour = s.hour`;
}

/** The share of pairs in the right order, by ranks, on the weeks of the gate. */
const aucSql = `SELECT (sum(rank) FILTER (WHERE late = 1) - n1 * (n1 + 1) / 2) / (n1 * n0) AS auc FROM (
    SELECT late, avg(position) OVER (PARTITION BY score) AS rank FROM (
      SELECT late, score, row_number() OVER (ORDER BY score) AS position FROM rows WHERE week BETWEEN 12 AND 17)),
  (SELECT sum(late) AS n1, count(*) - sum(late) AS n0 FROM rows WHERE week BETWEEN 12 AND 17) GROUP BY n1, n0`;

async function copy(database: DuckDb, query: string, path: string): Promise<void> {
  await database.run(`COPY (${query}) TO ${literal(path)} (FORMAT parquet)`);
}

/** The monitors of the flights example, as its project file has them. */
export async function exampleMonitors(): Promise<MonitorSettings[]> {
  const project = await loadProject(join(root, "examples/flights-delay"));
  return Object.entries(project.config.monitors ?? {}).map(([name, config]) => monitorSettings(name, config));
}

export interface Watched {
  ports: MonitorPorts;
  runs: AlertRun[];
}

/** Everything a monitor needs besides the traffic, in memory; runs that alerts start are noted. */
export function watch(dealt: Pick<Dealt, "captured" | "labels" | "reference" | "gateAuc">): Watched {
  const runs: AlertRun[] = [];
  const state = new Map<string, MonitorRow["state"]>();
  const reports: MonitorReportRow[] = [];
  const record: MonitorPorts["record"] = {
    upsert: async () => Promise.reject(new Error("not needed here")),
    get: async (name) => {
      const kept = state.get(name);
      const row = { name, endpoint: "flights", spec: {}, enabled: true, createdAt: 0, updatedAt: 0 };
      return kept === undefined ? row : { ...row, state: kept };
    },
    saveState: async (name, value) => {
      state.set(name, value);
    },
    saveReport: async (report) => {
      const same = (one: MonitorReportRow) => one.monitor === report.monitor && one.windowEnd === report.windowEnd;
      const runId = reports.find(same)?.runId ?? report.runId;
      const row = { ...report, createdAt: 0, ...(runId === undefined ? {} : { runId }) };
      reports.splice(0, reports.length, row, ...reports.filter((one) => !same(one)));
      return row;
    },
    reports: (async (monitor) => ({
      items: reports.filter((one) => one.monitor === monitor).sort((a, b) => b.windowEnd - a.windowEnd),
    })) satisfies MonitorQueries["reports"],
  };
  const ports: MonitorPorts = {
    record,
    profiles: new Map(),
    openDatabase: async () => (await loadEmbeddedParts()).openDuckDb({ threads: 2, memoryLimit: "700MB" }),
    files: async () => ({ captured: [dealt.captured], labels: [dealt.labels] }),
    referenceTable: async () => dealt.reference,
    modelInputs: async () => ["hour", "weekday", "distance"],
    gateMetric: async () => dealt.gateAuc,
    lastRunDate: async (_pipeline, upTo) => {
      const dates = runs.map((run) => Date.parse(run.logicalDate)).filter((date) => date <= upTo);
      return dates.length === 0 ? undefined : Math.max(...dates);
    },
    mintRunId: () => `run-${runs.length + 1}`,
    startRun: async (run) => {
      if (!runs.some((known) => known.id === run.id)) runs.push(run);
    },
  };
  return { ports, runs };
}
