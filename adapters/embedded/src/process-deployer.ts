import { mkdir, readdir, rm } from "node:fs/promises";
import { join, resolve } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import {
  type Deployer,
  type EndpointSpec,
  type EndpointStatus,
  EspalierError,
  type ServedVersion,
  type ToolManifest,
} from "@espalier/core";
import { z } from "zod";
import { askRouter, checkPortFree, checkSpec, endpointPaths, routerState, versionKey } from "./endpoint-processes.ts";
import { findServing, readJson, type ServingProcess, startServing, stopServing, writeJson } from "./serving-process.ts";

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
  summary: "A router and one model server a version, as processes of this machine on loopback",
  capabilities: ["canary", "capture", "sticky", "zero-downtime"],
  skills: [],
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

const superviseMilliseconds = 1000;
const stopGraceSeconds = 30;

/** One per project: two would supervise the same processes. Supervision begins at once, over the endpoints that are there. */
export function createProcessDeployer(host: ProcessDeployerHost, config: ProcessDeployerConfig = {}): ProcessDeployer {
  const directory = resolve(host.directory);
  const startSeconds = config.start_seconds ?? 120;
  const turns = new Map<string, Promise<unknown>>();
  const failures = new Map<string, { count: number; retryAt: number; message: string }>();
  const routerFolder = (name: string) => endpointPaths(directory, name).router;
  let closed = false;

  /** One change of an endpoint at a time. */
  function inTurn<Result>(name: string, work: () => Promise<Result>): Promise<Result> {
    const turn = (turns.get(name) ?? Promise.resolve()).then(work, work);
    turns.set(name, turn);
    return turn;
  }

  function startVersion(spec: EndpointSpec, version: ServedVersion): Promise<ServingProcess> {
    const paths = endpointPaths(directory, spec.name);
    return startServing({
      folder: paths.version(versionKey(version)),
      label: `The server of ${version.model} version ${version.version}`,
      startSeconds,
      command: [
        host.servingEntry,
        "model",
        "--model-dir",
        resolve(version.path),
        "--name",
        version.model,
        "--version",
        version.version,
        "--alias",
        spec.name,
        "--capture-dir",
        paths.capture,
      ],
    });
  }

  function startRouter(name: string, port: number): Promise<ServingProcess> {
    const { router, state } = endpointPaths(directory, name);
    return startServing({
      folder: router,
      label: `The router of ${name}`,
      startSeconds,
      command: [host.servingEntry, "router", "--state", state, "--port", String(port)],
    });
  }

  async function readSpec(name: string): Promise<EndpointSpec | undefined> {
    return (await readJson(endpointPaths(directory, name).spec)) as EndpointSpec | undefined;
  }

  /** Starts every version; those without weight may fail, which `status` then tells. */
  async function startVersions(spec: EndpointSpec): Promise<Map<string, number>> {
    const ports = new Map<string, number>();
    await Promise.all(
      spec.versions.map(async (version) => {
        const key = versionKey(version);
        try {
          ports.set(key, (await startVersion(spec, version)).port);
          failures.delete(key);
        } catch (error) {
          if (version.weight > 0) throw error;
          noteFailure(key, error);
        }
      }),
    );
    return ports;
  }

  function noteFailure(key: string, error: unknown): void {
    const count = (failures.get(key)?.count ?? 0) + 1;
    const message = error instanceof Error ? error.message : String(error);
    failures.set(key, { count, retryAt: Date.now() + Math.min(60_000, 500 * 2 ** count), message });
  }

  async function apply(spec: EndpointSpec): Promise<EndpointStatus> {
    await checkSpec(spec);
    const paths = endpointPaths(directory, spec.name);
    const current = await readSpec(spec.name);
    if (current !== undefined && current.generation > spec.generation) return statusOf(current);
    const running = await findServing(paths.router);
    if (running?.port !== spec.port) await checkPortFree(spec.port);
    await mkdir(paths.capture, { recursive: true });
    const before = new Set((current?.versions ?? []).map(versionKey));
    try {
      const ports = await startVersions(spec);
      await writeJson(paths.spec, spec);
      await writeJson(paths.state, routerState(spec, ports));
    } catch (error) {
      // What serves goes on serving; only what this change started is taken back.
      const started = spec.versions.map(versionKey).filter((key) => !before.has(key));
      await Promise.all(started.map((key) => stopServing(paths.version(key), stopGraceSeconds)));
      throw error;
    }
    const router = await routerAt(spec, running);
    await inForce(spec, router.port);
    await stopOthers(spec, router.port);
    return statusOf(spec);
  }

  async function routerAt(spec: EndpointSpec, running: ServingProcess | undefined): Promise<ServingProcess> {
    if (running !== undefined && (spec.port === 0 || running.port === spec.port)) return running;
    await stopServing(routerFolder(spec.name), stopGraceSeconds);
    return restartRouter(spec);
  }

  /** A port that was chosen once stays, since callers know it; unless another took it while the router was away. */
  async function restartRouter(spec: EndpointSpec): Promise<ServingProcess> {
    if (spec.port !== 0) return startRouter(spec.name, spec.port);
    const portFile = join(routerFolder(spec.name), "port.json");
    const known = (await readJson(portFile)) as { port: number } | undefined;
    let router: ServingProcess;
    try {
      router = await startRouter(spec.name, known?.port ?? 0);
    } catch (error) {
      if (!(error instanceof EspalierError) || error.code !== "PORT_IN_USE") throw error;
      router = await startRouter(spec.name, 0);
    }
    await writeJson(portFile, { port: router.port });
    return router;
  }

  async function inForce(spec: EndpointSpec, port: number): Promise<void> {
    const deadline = Date.now() + startSeconds * 1000;
    let message = "it does not answer";
    while (Date.now() < deadline) {
      const status = await askRouter(port);
      if (status !== undefined && status.generation >= spec.generation && status.wantedGeneration === status.generation)
        return;
      message = status?.message ?? message;
      await delay(50);
    }
    throw new EspalierError(
      "UNAVAILABLE",
      `The router of ${spec.name} did not take generation ${spec.generation}: ${message}`,
    );
  }

  /** Servers of versions that are no longer named, each once the router has no request open there. */
  async function stopOthers(spec: EndpointSpec, port: number): Promise<void> {
    const wanted = new Set(spec.versions.map(versionKey));
    const folder = join(endpointPaths(directory, spec.name).folder, "versions");
    const others = (await readdir(folder)).filter((key) => !wanted.has(key));
    if (others.length === 0) return;
    const deadline = Date.now() + stopGraceSeconds * 1000;
    while (Date.now() < deadline) {
      const draining = (await askRouter(port))?.draining ?? [];
      if (!others.some((key) => draining.includes(key))) break;
      await delay(50);
    }
    await Promise.all(
      others.map(async (key) => {
        await stopServing(join(folder, key), stopGraceSeconds);
        await rm(join(folder, key), { recursive: true, force: true });
      }),
    );
  }

  async function statusOf(spec: EndpointSpec): Promise<EndpointStatus> {
    const process = await findServing(routerFolder(spec.name));
    const router = process === undefined ? undefined : await askRouter(process.port);
    const versions = spec.versions.map((version) => {
      const key = versionKey(version);
      const seen = router?.versions.find((candidate) => candidate.key === key);
      const message =
        failures.get(key)?.message ?? seen?.message ?? (router === undefined ? "the router is away" : undefined);
      return {
        version: version.version,
        ready: seen?.ready ?? false,
        requests: seen?.requests ?? 0,
        errors: seen?.errors ?? 0,
        ...(message === undefined ? {} : { message }),
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

  /** Brings back what died, and tells the router the new ports. */
  async function heal(name: string): Promise<void> {
    const spec = await readSpec(name);
    if (spec === undefined || closed) return;
    const paths = endpointPaths(directory, name);
    const ports = new Map<string, number>();
    for (const version of spec.versions) {
      const key = versionKey(version);
      const living = await findServing(paths.version(key));
      const failure = failures.get(key);
      if (living !== undefined) ports.set(key, living.port);
      else if (failure === undefined || failure.retryAt <= Date.now()) {
        try {
          ports.set(key, (await startVersion(spec, version)).port);
          failures.delete(key);
        } catch (error) {
          noteFailure(key, error);
        }
      }
    }
    const state = routerState(spec, ports);
    const weightKept = Math.abs(state.versions.reduce((sum, { weight }) => sum + weight, 0) - 1) < 1e-6;
    // With a weighted version missing the router keeps its state, and retries until the server is back.
    if (weightKept && JSON.stringify(await readJson(paths.state)) !== JSON.stringify(state)) {
      await writeJson(paths.state, state);
    }
    if ((await findServing(paths.router)) === undefined) await restartRouter(spec);
  }

  async function endpointNames(): Promise<string[]> {
    const entries = await readdir(directory, { withFileTypes: true }).catch(() => []);
    return entries.filter((entry) => entry.isDirectory()).map((entry) => entry.name);
  }

  async function supervise(): Promise<void> {
    for (const name of await endpointNames()) {
      if (closed) return;
      await inTurn(name, () => heal(name)).catch((error: unknown) => noteFailure(name, error));
    }
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
        await stopServing(paths.router, stopGraceSeconds);
        const keys = await readdir(join(paths.folder, "versions")).catch(() => []);
        await Promise.all(keys.map((key) => stopServing(paths.version(key), stopGraceSeconds)));
        for (const path of [paths.state, paths.router, join(paths.folder, "versions")]) {
          await rm(path, { recursive: true, force: true });
        }
      }),
    captureDirectory: (name) => endpointPaths(directory, name).capture,
    async flushCapture(name) {
      const spec = await readSpec(name);
      for (const version of spec?.versions ?? []) {
        const server = await findServing(endpointPaths(directory, name).version(versionKey(version)));
        if (server === undefined) continue;
        const response = await fetch(`http://127.0.0.1:${server.port}/capture/flush`, { method: "POST" });
        if (!response.ok) {
          throw new EspalierError(
            "UNAVAILABLE",
            `Capture of version ${version.version} can not be flushed: ${await response.text()}`,
          );
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
