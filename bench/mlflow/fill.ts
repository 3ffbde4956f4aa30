import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { load } from "./load.ts";

/** Writes runs past MLflow's own server into its database, since by its API it would take an hour. */
export function fillStock(python: string, databaseUrl: string, experimentId: string, runs: number): void {
  fill(python, "runs", databaseUrl, experimentId, String(runs));
}

export function fillHistoryOfStock(python: string, databaseUrl: string, runId: string, points: number): void {
  fill(python, "history", databaseUrl, runId, String(points));
}

function fill(python: string, ...words: string[]): void {
  const done = spawnSync(python, [join(import.meta.dirname, "fill-stock.py"), ...words], {
    stdio: ["ignore", "ignore", "inherit"],
  });
  if (done.status !== 0) throw new Error(`fill-stock.py ended with ${done.status}`);
}

/** The same runs by the API. */
export async function fillByApi(url: string, experimentId: string, runs: number): Promise<string[]> {
  const options = { connections: 16, experimentId, count: runs };
  const { runIds, failed } = await load(url, { ...options, kind: "create-run", runIds: [] });
  const filled = await load(url, { ...options, kind: "fill-run", runIds });
  if (failed + filled.failed > 0 || runIds.length !== runs) throw new Error("Not all runs could be written");
  return runIds;
}
