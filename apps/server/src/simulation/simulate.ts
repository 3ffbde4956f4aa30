import { EspalierError } from "@espalier/core";
import type { TrafficDatabase } from "../monitoring/traffic.ts";
import { dayMilliseconds, dayOf } from "../monitoring/windows.ts";
import { readDay, type TrafficTable } from "./day-rows.ts";
import { createEndpointClient } from "./endpoint-client.ts";
import { writeLabels } from "./labels.ts";
import { planDay, predictionIds } from "./plan-day.ts";
import { sendDay } from "./send-day.ts";
import type { SimulationFile } from "./simulation-file.ts";

/** What a simulation needs of the control plane. All of it is the same code that runs on real days; only the clock is given. */
export interface SimulationPorts {
  openDatabase(): Promise<TrafficDatabase>;
  /** Runs the traffic pipeline to its end and gives the table; the inputs are those of the model that serves. */
  trafficTable(file: SimulationFile): Promise<TrafficTable>;
  endpointUrl(endpoint: string): Promise<string>;
  labelDirectory(endpoint: string): string;
  /** Judges all windows of the endpoint's monitors that are due at this time, and waits for the runs that they start. */
  judgeMonitors(endpoint: string, asOf: number): Promise<void>;
  /** Fires what schedules have due from (inclusive) to (exclusive), by logical date, and waits for the runs. */
  fireSchedules(from: number, to: number): Promise<void>;
  /** Takes the next look at rollouts of the endpoint. */
  advanceRollouts(endpoint: string): Promise<void>;
}

export interface SimulationProgress {
  /** The day that was finished last; the next one is where a restart goes on. */
  day?: string;
  daysDone: number;
  daysTotal: number;
  rows: number;
  requests: number;
  errors: number;
}

/** More failed requests than this share of a day end the simulation: what follows would measure nothing. */
const mostErrors = 0.5;

/**
 * Replays data as traffic, day by day: labels that arrive, monitors, what schedules have due, then the day's requests and a look at
 * rollouts. After the last day come quiet days, until the last labels are there. Each finished day is reported; begun again with that
 * progress, it goes on with the next, and a day that was cut off is sent again under the same prediction ids.
 */
export async function simulate(
  file: SimulationFile,
  ports: SimulationPorts,
  earlier: SimulationProgress | undefined,
  onProgress: (progress: SimulationProgress) => Promise<void>,
  signal: AbortSignal,
): Promise<SimulationProgress> {
  const from = Date.parse(file.from);
  const trafficDays = Math.round((Date.parse(file.to) - from) / dayMilliseconds);
  const daysTotal = trafficDays + file.labels.delay_days + 1;
  let progress: SimulationProgress = earlier ?? { daysDone: 0, daysTotal, rows: 0, requests: 0, errors: 0 };
  const table = await ports.trafficTable(file);
  const database = await ports.openDatabase();
  try {
    for (let index = progress.daysDone; index < daysTotal && !signal.aborted; index++) {
      const midnight = from + index * dayMilliseconds;
      await labelsArrive(file, ports, database, table, midnight, from);
      await ports.judgeMonitors(file.endpoint, midnight);
      await ports.fireSchedules(midnight, midnight + dayMilliseconds);
      const sent = index < trafficDays ? await replayDay(file, ports, database, table, dayOf(midnight)) : undefined;
      progress = {
        day: dayOf(midnight),
        daysDone: index + 1,
        daysTotal,
        rows: progress.rows + (sent?.rows ?? 0),
        requests: progress.requests + (sent?.requests ?? 0),
        errors: progress.errors + (sent?.errors ?? 0),
      };
      await onProgress(progress);
    }
    return progress;
  } finally {
    await database.close();
  }
}

/** At the beginning of a day, the labels of the day `delay_days` before arrive. */
async function labelsArrive(
  file: SimulationFile,
  ports: SimulationPorts,
  database: TrafficDatabase,
  table: TrafficTable,
  midnight: number,
  from: number,
): Promise<void> {
  const labelled = midnight - file.labels.delay_days * dayMilliseconds;
  if (labelled < from || labelled >= Date.parse(file.to)) return;
  const day = dayOf(labelled);
  const rows = await readDay(database, table, day);
  const plan = planDay(file.seed, day, rows.count, file.single_share, file.batch_rows);
  const ids = predictionIds(file.seed, day, plan);
  await writeLabels(database, ports.labelDirectory(file.endpoint), day, ids, rows, midnight);
}

async function replayDay(
  file: SimulationFile,
  ports: SimulationPorts,
  database: TrafficDatabase,
  table: TrafficTable,
  day: string,
): Promise<{ rows: number; requests: number; errors: number }> {
  const rows = await readDay(database, table, day);
  const plan = planDay(file.seed, day, rows.count, file.single_share, file.batch_rows);
  const client = createEndpointClient(
    await ports.endpointUrl(file.endpoint),
    file.endpoint,
    table.inputs,
    file.concurrency,
  );
  try {
    const sent = await sendDay(client, rows, plan, { seed: file.seed, day, concurrency: file.concurrency });
    if (sent.errors > mostErrors * sent.requests) {
      throw new EspalierError("UNAVAILABLE", `${sent.errors} of ${sent.requests} requests of ${day} failed`, {
        hint: `\`espalier deploy\` shows what the endpoint ${file.endpoint} serves; the same command goes on with ${day}.`,
      });
    }
    await ports.advanceRollouts(file.endpoint);
    return sent;
  } finally {
    client.close();
  }
}
