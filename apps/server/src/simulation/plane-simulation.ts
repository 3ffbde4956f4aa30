import { EspalierError, type ModelSignature } from "@espalier/core";
import { loadEmbeddedParts } from "@espalier/host";
import type { ControlPlane } from "../control-plane.ts";
import { advanceRollouts } from "../deployments/rollout-steps.ts";
import { judgeAll, labelDirectory, materialised } from "../monitoring/plane-monitors.ts";
import { awaitRun } from "../runs/await-run.ts";
import { createRun } from "../runs/create-run.ts";
import { backfill, syncSchedules } from "../schedules/schedules.ts";
import type { TrafficTable } from "./day-rows.ts";
import type { SimulationPorts } from "./simulate.ts";
import type { SimulationFile } from "./simulation-file.ts";

const by = "simulation";

/** The same monitors, schedules, runs and rollouts as on any day; the simulation only says what time it is. */
export function simulationPorts(plane: ControlPlane, signal: AbortSignal): SimulationPorts {
  const { record, stack } = plane;
  return {
    openDatabase: async () => (await loadEmbeddedParts()).openDuckDb({ threads: 2, memoryLimit: "500MB" }),
    trafficTable: (file) => trafficTable(plane, file, signal),
    endpointUrl: async (endpoint) => {
      const status = await stack.deployer.status(endpoint);
      if (status?.ready === true) return status.url;
      throw new EspalierError("UNAVAILABLE", `The endpoint ${endpoint} does not serve`, {
        hint: "Run the pipeline that deploys it first; the same command then goes on.",
      });
    },
    labelDirectory: (endpoint) => labelDirectory(plane, endpoint),
    judgeMonitors: async (endpoint, asOf) => {
      for (const { runId } of await judgeAll(plane, asOf, endpoint)) {
        if (runId !== undefined) await awaitRun(plane, runId, signal);
      }
    },
    fireSchedules: async (from, to) => {
      await syncSchedules(plane);
      for (const schedule of (await record.schedules.list({ limit: 1000 })).items) {
        if (schedule.paused) continue;
        const fired = await backfill(plane, schedule.pipeline, { from: new Date(from), to: new Date(to) }, { by });
        for (const { runId } of fired) await awaitRun(plane, runId, signal);
      }
    },
    advanceRollouts: (endpoint) => advanceRollouts(plane, endpoint),
  };
}

async function trafficTable(plane: ControlPlane, file: SimulationFile, signal: AbortSignal): Promise<TrafficTable> {
  const { pipeline, params, output, time } = file.traffic;
  const created = await createRun(plane, { pipeline, params, logicalDate: file.from }, by);
  const run = await awaitRun(plane, created.id, signal);
  const [step = "", name = ""] = output.split(".");
  const rows = await plane.record.engine.steps(run.id);
  const ref = rows.find((row) => row.step === step && row.branch === -1)?.outputs?.[name];
  if (run.state !== "succeeded" || ref === undefined) {
    throw new EspalierError(
      "STEP_FAILED",
      `The traffic pipeline ${pipeline} gave no ${output}: run ${run.id} is ${run.state}`,
      {
        hint: `\`espalier runs show ${run.id}\``,
      },
    );
  }
  const signature = await servedSignature(plane, file.endpoint);
  return { path: await materialised(plane, ref), time, label: file.labels.column, inputs: signature.inputs };
}

/** Of the version with most of the traffic: what clients of the endpoint have to send. */
async function servedSignature({ record }: ControlPlane, endpoint: string): Promise<ModelSignature> {
  const row = await record.endpoints.get(endpoint);
  const [served] = [...(row?.spec.versions ?? [])].sort((a, b) => b.weight - a.weight);
  const version = served === undefined ? undefined : await record.models.version(served.model, Number(served.version));
  if (row?.deletedAt === undefined && version?.signature !== undefined) return version.signature;
  throw new EspalierError("NOT_FOUND", `The endpoint ${endpoint} serves no model with a signature`, {
    hint: "Run the pipeline that deploys it first.",
  });
}
