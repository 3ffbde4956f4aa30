import type { LoadOptions } from "./http-load.ts";
import { load } from "./load.ts";
import type { Part } from "./parts.ts";
import { newExperiment, newRun } from "./requests.ts";
import type { Figure } from "./results.ts";

/** Requests without any client's cost: 16 and 64 connections that each send the next request when the last is answered. */
export const http: Part = async ({ target, seconds }) => {
  const figures: Figure[] = [];
  for (const kind of ["log-metric", "log-batch", "create-run", "get-run"] as const) {
    for (const connections of [16, 64]) {
      const experimentId = await newExperiment(target.url);
      const runIds: string[] = [];
      for (let index = 0; index < connections; index += 1) runIds.push(await newRun(target.url, experimentId));
      const options: Omit<LoadOptions, "port"> = { kind, connections, experimentId, runIds, seconds, warmUpSeconds: 1 };
      // A run is read as it mostly is: with its last metrics.
      if (kind === "get-run") await load(target.url, { ...options, kind: "fill-run", count: connections });
      const result = await load(target.url, options);
      const what = `${names[kind]}, ${connections} connections`;
      const note = result.failed === 0 ? {} : { note: `${result.failed} failed` };
      figures.push(
        { what, unit: "requests/s", better: "more", value: result.requests / result.seconds, ...note },
        { what: `${what}, p99`, unit: "ms", better: "less", value: result.p99 },
      );
    }
  }
  return figures;
};

const names = {
  "log-metric": "log-metric",
  "log-batch": "log-batch of 1,000 metrics",
  "create-run": "runs/create",
  "get-run": "runs/get with 20 metrics",
} as const;
