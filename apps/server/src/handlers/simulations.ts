import type { Simulation } from "@espalier/contract";
import { EspalierError } from "@espalier/core";
import type { ControlPlane } from "../control-plane.ts";
import type { SimulationRow } from "../db/queries/simulations.ts";
import type { HandlersOf, NamesUnder } from "../http/handler.ts";
import { createSimulations, type StoredSimulation } from "../simulation/simulations.ts";

export function simulationHandlers(plane: ControlPlane): HandlersOf<NamesUnder<"simulations">> {
  const { record } = plane;
  const simulations = createSimulations(plane);
  return {
    "simulations.list": async ({ query }) => {
      const page = await record.simulations.list(query);
      return { ...page, items: page.items.map(infoOf) };
    },
    "simulations.start": async ({ body }) => {
      const { endpoint, config, from, to, seed, settings } = body;
      return infoOf(await simulations.start({ endpoint, config, overrides: { ...settings, from, to, seed } }));
    },
    "simulations.get": async ({ params }) => {
      const row = await record.simulations.get(params.simulationId);
      if (row !== undefined) return infoOf(row);
      throw new EspalierError("NOT_FOUND", `There is no simulation ${params.simulationId}`);
    },
    "simulations.events": async function* ({ params, signal }) {
      for await (const row of simulations.follow(params.simulationId, signal)) yield { data: infoOf(row) };
    },
    "simulations.cancel": async ({ params }) => infoOf(await simulations.cancel(params.simulationId)),
  };
}

function infoOf(row: SimulationRow): Simulation {
  const stored = row.progress as unknown as StoredSimulation;
  const { progress } = stored;
  return {
    id: row.id,
    endpoint: row.endpoint,
    state: row.state,
    from: stored.file.from,
    to: stored.file.to,
    ...(progress?.day === undefined ? {} : { day: progress.day }),
    daysDone: progress?.daysDone ?? 0,
    daysTotal: progress?.daysTotal ?? 0,
    rows: progress?.rows ?? 0,
    requests: progress?.requests ?? 0,
    errors: progress?.errors ?? 0,
    startedAt: row.startedAt,
    ...(row.finishedAt === undefined ? {} : { finishedAt: row.finishedAt }),
    ...(stored.error === undefined ? {} : { error: stored.error }),
  };
}
