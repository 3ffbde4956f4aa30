import { setTimeout as pause } from "node:timers/promises";
import { fillByApi, fillStock } from "./fill.ts";
import type { Part } from "./parts.ts";
import { runClients } from "./python-client.ts";
import { get, longestSeconds, newExperiment, newRun, post, quantile } from "./requests.ts";
import type { Figure } from "./results.ts";

/** Searches among 100,000 runs with 20 metrics, 5 parameters and 5 tags each. */
export const search: Part = async ({ target, python, scale }) => {
  const runs = Math.max(1000, Math.round(100_000 * scale));
  const experimentId = await newExperiment(target.url);
  const other = await newRun(target.url, await newExperiment(target.url));
  if (target.databaseUrl !== undefined) fillStock(python, target.databaseUrl, experimentId, runs);
  else await fillByApi(target.url, experimentId, runs);

  const queries = {
    "1 % kept, ordered by a metric": (index: number) => ({
      filter: `metrics.m${index % 20} > 0.99`,
      order_by: [`metrics.m${(index + 7) % 20} DESC`],
    }),
    "half kept, ordered by a metric": (index: number) => ({
      filter: `metrics.m${index % 20} > 0.5`,
      order_by: [`metrics.m${(index + 7) % 20} DESC`],
    }),
    "1 % by metric, parameter and tag": (index: number) => ({
      filter: `metrics.m${index % 20} > 0.22 AND params.p1 = '${index % 7}' AND tags.t2 = '${index % 11}'`,
      order_by: [`metrics.m${(index + 7) % 20} ASC`],
    }),
    "no filter, the newest": () => ({ filter: "", order_by: [] }),
  };
  const figures: Figure[] = [];
  const size = `of ${runs.toLocaleString("en-US")}`;
  for (const [name, make] of Object.entries(queries)) {
    const meanwhile = watch(target.url, other);
    const times = await ask(100, 60, async (index) => {
      const body = { experiment_ids: [experimentId], max_results: 100, ...make(index) };
      const answer = await post<{ runs?: unknown[] }>(target.url, "runs/search", body);
      if (runs >= 20_000 && answer.runs?.length !== 100)
        throw new Error(`${name}: ${answer.runs?.length} runs instead of 100`);
    });
    const others = await meanwhile();
    const note = times.length === 100 ? {} : { note: `${times.length} queries` };
    figures.push(
      { what: `${size}, ${name}, p50`, unit: "ms", better: "less", value: quantile(times, 0.5), ...note },
      { what: `${size}, ${name}, p99`, unit: "ms", better: "less", value: quantile(times, 0.99), ...note },
      { what: `\`runs/get\` of another run meanwhile, p99`, unit: "ms", better: "less", value: quantile(others, 0.99) },
    );
    // One row for the others: of the query that takes the server most.
    if (!name.startsWith("half")) figures.pop();
  }
  const [client] = await runClients<{ times: number[] }>([
    {
      python,
      url: target.url,
      mode: "search",
      options: {
        experiment_id: experimentId,
        count: 20,
        condition: Array.from({ length: 20 }, (_, index) => `metrics.m${index} > 0.99`),
        order: ["metrics.m3 DESC", "metrics.m5 ASC"],
      },
      capSeconds: 120,
    },
  ]);
  figures.push({
    what: `${size}, 1 % kept, by the client, p50`,
    unit: "ms",
    better: "less",
    value: client === undefined ? Number.NaN : quantile(client.times, 0.5) * 1000,
  });
  return figures;
};

/** At most so many queries, and none is begun after so long. */
async function ask(count: number, capSeconds: number, query: (index: number) => Promise<void>): Promise<number[]> {
  const times: number[] = [];
  for (const deadline = Date.now() + capSeconds * 1000; times.length < count && Date.now() < deadline; ) {
    const started = performance.now();
    try {
      await query(times.length);
    } catch (error) {
      if (performance.now() - started < longestSeconds * 1000) throw error;
      // Given up: it counts with the time that was waited, and no further one is tried.
      return [...times, performance.now() - started];
    }
    times.push(performance.now() - started);
  }
  return times;
}

/** Asks for a run every 50 ms until it is called off. */
function watch(url: string, runId: string): () => Promise<number[]> {
  let going = true;
  const times: number[] = [];
  const watching = (async () => {
    while (going) {
      const started = performance.now();
      await get(url, "runs/get", { run_id: runId });
      times.push(performance.now() - started);
      await pause(50);
    }
  })();
  // Told by the one who calls it off; until then it is no unhandled fault.
  watching.catch(() => undefined);
  return async () => {
    going = false;
    await watching;
    return times;
  };
}
