import { type Digest, digestOfJson, EspalierError, type Json, toEspalierError, ulid } from "@espalier/core";
import type { ControlPlane } from "../control-plane.ts";
import type { SimulationRow } from "../db/queries/simulations.ts";
import { simulationPorts } from "./plane-simulation.ts";
import { type SimulationProgress, simulate } from "./simulate.ts";
import { readSimulationFile, type SimulationFile } from "./simulation-file.ts";

/** As it is stored in the record. */
export interface StoredSimulation {
  path: string;
  file: SimulationFile;
  /** Of the settings: a simulation goes on only as what it was. */
  digest: Digest;
  progress?: SimulationProgress;
  error?: string;
}

export interface StartRequest {
  endpoint: string;
  config?: string | undefined;
  overrides?: Readonly<Record<string, Json | undefined>>;
}

/** Simulations of one control plane. One at a time an endpoint: two clocks on one endpoint would contradict each other. */
export interface Simulations {
  /** Goes on where an earlier one with the same settings was cut off or failed, else begins. CONFLICT while one is under way. */
  start(request: StartRequest): Promise<SimulationRow>;
  /** Stops after the simulated day. */
  cancel(id: string): Promise<SimulationRow>;
  /** The row at each finished day, until the end. */
  follow(id: string, signal: AbortSignal): AsyncIterable<SimulationRow>;
}

interface Active {
  id: string;
  stop: AbortController;
  done: Promise<void>;
}

const notFound = (id: string): EspalierError => new EspalierError("NOT_FOUND", `There is no simulation ${id}`);

export function createSimulations(plane: ControlPlane): Simulations {
  const { record } = plane;
  const active = new Map<string, Active>();
  const changes = new EventTarget();

  async function begin(row: SimulationRow, stored: StoredSimulation): Promise<void> {
    const stop = new AbortController();
    const signal = AbortSignal.any([stop.signal, plane.closing]);
    const done = drive(row.id, stored, stop.signal, signal).finally(() => {
      active.delete(row.endpoint);
      changes.dispatchEvent(new Event(row.id));
    });
    active.set(row.endpoint, { id: row.id, stop, done });
  }

  async function drive(id: string, stored: StoredSimulation, stopped: AbortSignal, signal: AbortSignal): Promise<void> {
    const save = async (patch: Partial<StoredSimulation>, state?: SimulationRow["state"]): Promise<void> => {
      Object.assign(stored, patch);
      const progress = JSON.parse(JSON.stringify(stored)) as Json;
      await record.simulations.update(id, state === undefined ? { progress } : { progress, state });
      changes.dispatchEvent(new Event(id));
    };
    try {
      const ports = simulationPorts(plane, signal);
      await simulate(stored.file, ports, stored.progress, (progress) => save({ progress }), signal);
      if (stopped.aborted) await save({}, "cancelled");
      else if (!plane.closing.aborted) await save({}, "succeeded");
    } catch (error) {
      // A control plane that closes leaves it running on record, to go on later.
      if (plane.closing.aborted) return;
      const { message } = toEspalierError(error);
      plane.logger.error({ err: error, simulation: id }, "the simulation failed");
      await save({ error: message }, stopped.aborted ? "cancelled" : "failed");
    }
  }

  return {
    start: async (request) => {
      const { path, file } = await readSimulationFile(plane.project.directory, request);
      const under = active.get(file.endpoint);
      if (under !== undefined) {
        throw new EspalierError("CONFLICT", `A simulation of ${file.endpoint} is under way: ${under.id}`, {
          hint: "Wait for it, or cancel it.",
        });
      }
      const stored: StoredSimulation = { path, file, digest: digestOfJson(file as unknown as Json) };
      const earlier = (await record.simulations.list({ limit: 100 })).items.find(
        (row) =>
          row.endpoint === file.endpoint && (row.progress as unknown as StoredSimulation).digest === stored.digest,
      );
      if (earlier !== undefined && earlier.state !== "succeeded") {
        const { progress } = earlier.progress as unknown as StoredSimulation;
        if (progress !== undefined) stored.progress = progress;
      }
      const row =
        earlier?.state === "running"
          ? earlier
          : await record.simulations.start({
              id: ulid(),
              endpoint: file.endpoint,
              progress: JSON.parse(JSON.stringify(stored)) as Json,
            });
      await begin(row, stored);
      return row;
    },
    cancel: async (id) => {
      const row = await record.simulations.get(id);
      if (row === undefined) throw notFound(id);
      const under = active.get(row.endpoint);
      if (under?.id === id) {
        under.stop.abort();
        await under.done;
      } else if (row.state === "running") await record.simulations.update(id, { state: "cancelled" });
      return (await record.simulations.get(id)) ?? row;
    },
    follow: async function* (id, signal) {
      for (;;) {
        const changed = Promise.withResolvers<void>();
        const wake = (): void => changed.resolve();
        changes.addEventListener(id, wake, { once: true });
        signal.addEventListener("abort", wake, { once: true });
        try {
          const row = await record.simulations.get(id);
          if (row === undefined) throw notFound(id);
          yield row;
          if (row.state !== "running" || signal.aborted) return;
          if (active.get(row.endpoint)?.id !== id) return;
          await changed.promise;
        } finally {
          changes.removeEventListener(id, wake);
          signal.removeEventListener("abort", wake);
        }
      }
    },
  };
}
