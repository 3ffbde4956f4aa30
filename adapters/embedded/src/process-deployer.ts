import { mkdir, readdir, rm } from "node:fs/promises";
import { resolve } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import {
  type Deployer,
  type EndpointSpec,
  type EndpointStatus,
  EspalierError,
  type ToolManifest,
} from "@espalier/core";
import { z } from "zod";
import {
  askRouter,
  checkPortFree,
  checkSpec,
  endpointPaths,
  processKeys,
  routerState,
  versionKey,
} from "./endpoint-processes.ts";
import { routerProcess } from "./router-process.ts";
import { findServing, readJson, type ServingProcess, writeJson } from "./serving-process.ts";
import { createVersionServers } from "./version-servers.ts";

export const processDeployerConfig = z.strictObject({
  /** Seconds that a model may take to load. */
  start_seconds: z.number().positive().optional(),
});
export type ProcessDeployerConfig = z.infer<typeof processDeployerConfig>;

export const processDeployerManifest: ToolManifest = {
  tool: "process",
  provider: "embedded",
  component: "deploy",
  milestone: 11,
  summary: "A router and model servers for each version, as processes of this machine on loopback",
  capabilities: ["canary", "capture", "custom-runtime", "replicas", "rules", "shadow", "sticky", "zero-downtime"],
  skills: [],
  ownership: {
    place: "this machine",
    setUpHours: [0, 0],
    hoursAMonth: [0, 0],
    dollarsAMonth: [0, 0],
    carries: { requestsASecond: 4000 },
    lockIn: 0,
    wayOut: "models are ONNX or MLmodel, protocols are open",
    source: "nothing is added to run or to pay",
    asOf: "2026-11-27",
  },
  cost: { money: "memory of one process a version (about 100 MB and the model)", operations: "none" },
  verified: { label: "real", against: "Linux, onnxruntime 1.30.0", live: "not applicable" },
  losses: ["Counts of requests begin anew when the router restarts."],
};

export interface ProcessDeployer extends Deployer {
  /** Folder of closed segments and of compacted Parquet files of one endpoint. */
  captureDirectory(name: string): string;
  /** Everything captured so far lies in closed segments afterwards. */
  flushCapture(name: string): Promise<void>;
  /** Ends supervision; endpoints keep serving. */
  close(): Promise<void>;
}

export interface ProcessDeployerHost {
  /** `.espalier/endpoints`. */
  directory: string;
  /** Path of the serving program. */
  servingEntry: string;
}

const superviseMilliseconds = 500;
const stopGraceSeconds = 30;

/** One per project: two would supervise the same processes. Supervision begins at once, over the endpoints that are there. */
export function createProcessDeployer(
  { servingEntry, ...host }: ProcessDeployerHost,
  config: ProcessDeployerConfig = {},
): ProcessDeployer {
  const directory = resolve(host.directory);
  const startSeconds = config.start_seconds ?? 120;
  const place = { directory, servingEntry, startSeconds, stopGraceSeconds };
  const servers = createVersionServers(place);
  const routerOf = (name: string) => routerProcess(place, name);
  const turns = new Map<string, Promise<unknown>>();
  /** What the last look at an endpoint could not mend; it is tried again at the next. */
  const faults = new Map<string, string>();
  let closed = false;

  /** One change of an endpoint at a time. */
  function inTurn<Result>(name: string, work: () => Promise<Result>): Promise<Result> {
    const turn = (turns.get(name) ?? Promise.resolve()).then(work, work);
    turns.set(name, turn);
    return turn;
  }

  async function readSpec(name: string): Promise<EndpointSpec | undefined> {
    return (await readJson(endpointPaths(directory, name).spec)) as EndpointSpec | undefined;
  }

  async function apply(spec: EndpointSpec): Promise<EndpointStatus> {
    await checkSpec(spec);
    const paths = endpointPaths(directory, spec.name);
    const current = await readSpec(spec.name);
    if (current !== undefined && current.generation > spec.generation) return statusOf(current);
    const running = await routerOf(spec.name).find();
    if (running?.port !== spec.port) await checkPortFree(spec.port);
    await mkdir(paths.capture, { recursive: true });
    const before = new Set(current === undefined ? [] : allProcesses(current));
    try {
      const ports = await servers.start(spec);
      await writeJson(paths.spec, spec);
      await writeJson(paths.state, routerState(spec, ports));
    } catch (error) {
      // What serves goes on serving; only what this change started is taken back.
      const started = allProcesses(spec).filter((process) => !before.has(process));
      await servers.stop(spec.name, started);
      await Promise.all(started.map((process) => rm(paths.process(process), { recursive: true, force: true })));
      // Of an endpoint that never served nothing is left, or it would be taken for one that should serve.
      if (current === undefined) await rm(paths.versions, { recursive: true, force: true });
      throw error;
    }
    const router = await routerOf(spec.name).at(spec.port);
    await inForce(spec, router.port);
    await stopOthers(spec, router.port);
    return statusOf(spec);
  }

  /** What dies while a change is waited for is brought back, or the wait would be for something that never comes. */
  async function inForce(spec: EndpointSpec, port: number): Promise<void> {
    const deadline = Date.now() + startSeconds * 1000;
    let message = "it does not answer";
    let healedAt = Date.now();
    while (Date.now() < deadline) {
      const status = await askRouter(port);
      if (status !== undefined && status.generation >= spec.generation && status.wantedGeneration === status.generation)
        return;
      message = status?.message ?? message;
      if (Date.now() - healedAt > superviseMilliseconds) {
        await bringBack(spec);
        healedAt = Date.now();
      }
      await delay(50);
    }
    throw new EspalierError(
      "UNAVAILABLE",
      `The router of ${spec.name} did not take generation ${spec.generation}: ${message}`,
    );
  }

  /** Processes that are no longer named, each once the router has no request open there. */
  async function stopOthers(spec: EndpointSpec, port: number): Promise<void> {
    const paths = endpointPaths(directory, spec.name);
    const wanted = new Set(allProcesses(spec));
    const others = (await readdir(paths.versions)).filter((process) => !wanted.has(process));
    if (others.length === 0) return;
    const found = await Promise.all(others.map((process) => findServing(paths.process(process))));
    const ports = found.flatMap((process) => (process === undefined ? [] : [process.port]));
    const deadline = Date.now() + stopGraceSeconds * 1000;
    while (Date.now() < deadline) {
      const draining = (await askRouter(port))?.draining ?? [];
      if (!ports.some((one) => draining.includes(one))) break;
      await delay(50);
    }
    await servers.stop(spec.name, others);
    await Promise.all(others.map((process) => rm(paths.process(process), { recursive: true, force: true })));
  }

  async function statusOf(spec: EndpointSpec): Promise<EndpointStatus> {
    const process = await routerOf(spec.name).find();
    const router = process === undefined ? undefined : await askRouter(process.port);
    const versions = spec.versions.map((version) => {
      const key = versionKey(spec, version);
      const seen = router?.versions.find((candidate) => candidate.key === key);
      const message =
        servers.failure(spec.name, key) ??
        seen?.message ??
        (router === undefined ? (faults.get(spec.name) ?? "the router is away") : undefined);
      return {
        version: version.version,
        model: version.model,
        ready: seen?.ready ?? false,
        requests: seen?.requests ?? 0,
        errors: seen?.errors ?? 0,
        ...(message === undefined ? {} : { message }),
        ...(seen?.durations === undefined ? {} : { durations: seen.durations }),
        replicas: { ready: seen?.replicas?.ready ?? 0, wanted: spec.replicas ?? 1 },
        ...(seen?.shadow === undefined ? {} : { shadow: seen.shadow }),
      };
    });
    return {
      name: spec.name,
      generation: router?.generation ?? spec.generation,
      url: process === undefined ? "" : `http://127.0.0.1:${process.port}`,
      ready: router?.ready ?? false,
      versions,
    };
  }

  /** Starts again the servers that died, and tells the router the new ports. */
  async function bringBack(spec: EndpointSpec): Promise<void> {
    const paths = endpointPaths(directory, spec.name);
    const state = routerState(spec, await servers.heal(spec));
    const weightKept = Math.abs(state.versions.reduce((sum, { weight }) => sum + weight, 0) - 1) < 1e-6;
    // With a weighted version missing the router keeps its state, and retries until the server is back.
    if (weightKept && JSON.stringify(await readJson(paths.state)) !== JSON.stringify(state)) {
      await writeJson(paths.state, state);
    }
  }

  async function heal(name: string): Promise<void> {
    const spec = await readSpec(name);
    if (spec === undefined || closed) return;
    // The router first: it keeps requests waiting for servers, and nobody keeps them for it.
    await routerOf(name).heal(spec.port);
    await bringBack(spec);
  }

  async function endpointNames(): Promise<string[]> {
    const entries = await readdir(directory, { withFileTypes: true }).catch(() => []);
    return entries.filter((entry) => entry.isDirectory()).map((entry) => entry.name);
  }

  /** Side by side: a model that takes long to start must not keep the router of another endpoint down. */
  async function supervise(): Promise<void> {
    const names = closed ? [] : await endpointNames();
    await Promise.all(
      names.map(async (name) => {
        try {
          await inTurn(name, () => heal(name));
          faults.delete(name);
        } catch (error) {
          faults.set(name, error instanceof Error ? error.message : String(error));
        }
      }),
    );
  }

  let supervision: Promise<void> | undefined;
  const timer = setInterval(() => {
    supervision ??= supervise().finally(() => {
      supervision = undefined;
    });
  }, superviseMilliseconds).unref();

  return {
    apply: (spec) => inTurn(spec.name, () => apply(spec)),
    async status(name) {
      const spec = await readSpec(name);
      return spec === undefined ? undefined : statusOf(spec);
    },
    delete: (name) =>
      inTurn(name, async () => {
        const paths = endpointPaths(directory, name);
        await rm(paths.spec, { force: true });
        await routerOf(name).stop();
        await servers.stop(name, await readdir(paths.versions).catch(() => []));
        for (const path of [paths.state, paths.router, paths.versions]) {
          await rm(path, { recursive: true, force: true });
        }
      }),
    captureDirectory: (name) => endpointPaths(directory, name).capture,
    async flushCapture(name) {
      const spec = await readSpec(name);
      for (const version of spec?.versions ?? []) {
        // A program of the user's captures nothing.
        if (version.runtime !== undefined) continue;
        for (const process of processKeys(spec as EndpointSpec, versionKey(spec as EndpointSpec, version))) {
          const server = await findServing(endpointPaths(directory, name).process(process));
          if (server !== undefined) await flush(server, version.version);
        }
      }
    },
    async close() {
      closed = true;
      clearInterval(timer);
      await supervision;
      await Promise.allSettled(turns.values());
    },
  };
}

function allProcesses(spec: EndpointSpec): string[] {
  return spec.versions.flatMap((version) => processKeys(spec, versionKey(spec, version)));
}

async function flush(server: ServingProcess, version: string): Promise<void> {
  const response = await fetch(`http://127.0.0.1:${server.port}/capture/flush`, { method: "POST" });
  if (response.ok) return;
  throw new EspalierError("UNAVAILABLE", `Capture of version ${version} can not be flushed: ${await response.text()}`);
}
