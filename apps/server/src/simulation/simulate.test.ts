import { mkdtemp, readdir, rm } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadEmbeddedParts } from "@espalier/host";
import { literal } from "@espalier/quality";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type SimulationPorts, type SimulationProgress, simulate } from "./simulate.ts";
import { simulationFileSchema } from "./simulation-file.ts";

let directory = "";
let traffic = "";
let server: Server;
/** Rows by prediction id of the request, as the endpoint saw them; `order` is all that happened. */
const answered = new Map<string, { rows: number; eventTime: string }>();
const order: string[] = [];
let failFrom = Number.POSITIVE_INFINITY;

const file = simulationFileSchema.parse({
  endpoint: "e",
  from: "2001-04-01",
  to: "2001-04-04",
  traffic: { pipeline: "traffic", output: "features.traffic", time: "date" },
  labels: { column: "late", delay_days: 2 },
  single_share: 0.2,
  batch_rows: 50,
  concurrency: 4,
  seed: 3,
});

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "espalier-simulate-"));
  traffic = join(directory, "traffic.parquet");
  const { openDuckDb } = await loadEmbeddedParts();
  const database = await openDuckDb({ threads: 1 });
  await database.run(
    `COPY (SELECT TIMESTAMP '2001-04-01' + INTERVAL (i * 864) SECOND AS date, (i % 24)::FLOAT AS hour, (i % 5 = 0)::INT AS late
       FROM range(300) r(i)) TO ${literal(traffic)} (FORMAT parquet)`,
  );
  await database.close();
  server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const body = JSON.parse(Buffer.concat(chunks).toString()) as { inputs: { shape: number[]; data: number[] }[] };
      const id = String(request.headers["x-espalier-prediction-id"]);
      const rows = body.inputs[0]?.shape[0] ?? 0;
      answered.set(id, { rows, eventTime: String(request.headers["x-espalier-event-time"]) });
      response.statusCode = answered.size > failFrom ? 503 : 200;
      response.end("{}");
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
});
afterAll(async () => {
  server.closeAllConnections();
  server.close();
  await rm(directory, { recursive: true, force: true });
});
beforeEach(async () => {
  answered.clear();
  order.length = 0;
  failFrom = Number.POSITIVE_INFINITY;
  await rm(join(directory, "labels"), { recursive: true, force: true });
});

function ports(): SimulationPorts {
  const day = (instant: number) => new Date(instant).toISOString().slice(0, 10);
  return {
    openDatabase: async () => (await loadEmbeddedParts()).openDuckDb({ threads: 1 }),
    trafficTable: async () => ({
      path: traffic,
      time: "date",
      label: "late",
      inputs: [{ name: "hour", type: "float" }],
    }),
    endpointUrl: async () => `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    labelDirectory: () => join(directory, "labels"),
    judgeMonitors: async (_endpoint, asOf) => {
      const labels = await readdir(join(directory, "labels")).catch(() => []);
      order.push(`judge ${day(asOf)} with ${labels.length}`);
    },
    fireSchedules: async (from, to) => {
      order.push(`fire ${day(from)} to ${day(to)}`);
    },
    advanceRollouts: async () => {
      order.push(`look ${answered.size}`);
    },
  };
}

const never = new AbortController().signal;

describe("a simulation", () => {
  it("replays each day once: labels, monitors, schedules, traffic, rollouts; then waits for the last labels", async () => {
    const days: string[] = [];
    const end = await simulate(file, ports(), undefined, async (progress) => void days.push(progress.day ?? ""), never);
    expect(end).toMatchObject({ daysDone: 6, daysTotal: 6, rows: 300, errors: 0, requests: answered.size });
    expect(days).toEqual(["2001-04-01", "2001-04-02", "2001-04-03", "2001-04-04", "2001-04-05", "2001-04-06"]);
    expect([...answered.values()].reduce((sum, one) => sum + one.rows, 0)).toBe(300);
    expect(order.filter((line) => line.startsWith("judge"))).toEqual([
      "judge 2001-04-01 with 0",
      "judge 2001-04-02 with 0",
      "judge 2001-04-03 with 1",
      "judge 2001-04-04 with 2",
      "judge 2001-04-05 with 3",
      "judge 2001-04-06 with 3",
    ]);
    expect(order.slice(0, 3).map((line) => line.split(" ")[0])).toEqual(["judge", "fire", "look"]);
    expect([...answered.values()].every((one) => one.eventTime.startsWith("2001-04-0"))).toBe(true);
  });

  it("gives each prediction the label of its row", async () => {
    await simulate(file, ports(), undefined, async () => undefined, never);
    const database = await (await loadEmbeddedParts()).openDuckDb({ threads: 1 });
    const [labels] = await database.rows(
      `SELECT count(*) AS n, count(DISTINCT prediction_id) AS ids, sum(label) AS late,
         count(*) FILTER (WHERE arrived_at = TIMESTAMP '2001-04-05') AS third FROM read_parquet(${literal(join(directory, "labels/*.parquet"))})`,
    );
    await database.close();
    expect(labels).toEqual({ n: 300, ids: 300, late: 60, third: 100 });
  });

  it("goes on with the next day after a stop, and sends a day that was cut off under the same ids", async () => {
    const whole = await simulate(file, ports(), undefined, async () => undefined, never);
    const ids = [...answered.keys()].sort();
    answered.clear();
    const stop = new AbortController();
    let kept: SimulationProgress | undefined;
    await simulate(
      file,
      ports(),
      undefined,
      async (progress) => {
        kept = progress;
        stop.abort();
      },
      stop.signal,
    );
    expect(kept?.daysDone).toBe(1);
    const end = await simulate(file, ports(), kept, async () => undefined, never);
    expect(end).toEqual(whole);
    expect([...answered.keys()].sort()).toEqual(ids);
  });

  it("counts failed requests, and gives up when most of a day fail", async () => {
    failFrom = 0;
    await expect(simulate(file, ports(), undefined, async () => undefined, never)).rejects.toMatchObject({
      code: "UNAVAILABLE",
    });
    failFrom = Number.POSITIVE_INFINITY;
    server.closeAllConnections();
    await expect(simulate(file, ports(), undefined, async () => undefined, never)).resolves.toMatchObject({
      errors: 0,
    });
  });
});
