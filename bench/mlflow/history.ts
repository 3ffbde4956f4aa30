import { fillHistoryOfStock } from "./fill.ts";
import { load } from "./load.ts";
import type { Part } from "./parts.ts";
import { get, newExperiment, newRun, quantile } from "./requests.ts";

/** The first page of a metric with 1,000,000 points, as the client and as a chart ask for it. */
export const history: Part = async ({ target, python, scale }) => {
  const points = Math.max(20_000, Math.round(1_000_000 * scale));
  const experimentId = await newExperiment(target.url);
  const runId = await newRun(target.url, experimentId);
  // MLflow's own server would take minutes for them.
  if (target.databaseUrl !== undefined) fillHistoryOfStock(python, target.databaseUrl, runId, points);
  else {
    const count = Math.ceil(points / 1000);
    await load(target.url, { kind: "log-history", connections: 1, experimentId, runIds: [runId], count });
  }
  const timed = async (count: number, query: Record<string, string>): Promise<number[]> => {
    const times: number[] = [];
    for (const deadline = Date.now() + 60_000; times.length < count && Date.now() < deadline; ) {
      const started = performance.now();
      const page = await get<{ metrics?: unknown[] }>(target.url, "metrics/get-history", query);
      times.push(performance.now() - started);
      if (page.metrics?.length !== Number(query["max_results"])) throw new Error("A page of the history is not whole");
    }
    return times;
  };
  const query = { run_id: runId, metric_key: "m0" };
  const small = await timed(20, { ...query, max_results: "1000" });
  const large = await timed(10, { ...query, max_results: "10000" });
  const what = `first page of ${points.toLocaleString("en-US")} points`;
  return [
    { what: `${what}, 1,000 points`, unit: "ms", better: "less", value: quantile(small, 0.5) },
    { what: `${what}, 10,000 points`, unit: "ms", better: "less", value: quantile(large, 0.5) },
  ];
};
