import { mkdir } from "node:fs/promises";
import { join, resolve } from "node:path";
import type { EndpointSpec, ServedVersion, ServerSettings } from "@espalier/core";
import { endpointPaths, isShadow, processKeys, versionKey } from "./endpoint-processes.ts";
import { findServing, startServing, stopServing, writeJson } from "./serving-process.ts";

export interface VersionServers {
  /** Starts every process that is not there. Those of versions with weight must all start; what else fails, `failure` tells. */
  start(spec: EndpointSpec): Promise<Map<string, number[]>>;
  /** Starts again what died, each failure with a longer pause before the next try. */
  heal(spec: EndpointSpec): Promise<Map<string, number[]>>;
  failure(name: string, key: string): string | undefined;
  stop(name: string, keys: readonly string[]): Promise<void>;
}

export interface VersionServersHost {
  directory: string;
  servingEntry: string;
  startSeconds: number;
  stopGraceSeconds: number;
}

interface Failure {
  count: number;
  retryAt: number;
  message: string;
}

const flags: Readonly<Record<keyof ServerSettings, string>> = {
  maxBatchRows: "--max-batch-rows",
  onnxThreads: "--onnx-threads",
  pythonWorkers: "--python-workers",
  pythonTimeoutSeconds: "--python-timeout-seconds",
  pythonMemoryBytes: "--python-memory-bytes",
};

function serverFlags(settings: ServerSettings = {}): string[] {
  return (Object.keys(flags) as (keyof ServerSettings)[]).flatMap((name) =>
    settings[name] === undefined ? [] : [flags[name], String(settings[name])],
  );
}

/** The processes that serve the versions of endpoints: `replicas` of each. */
export function createVersionServers(host: VersionServersHost): VersionServers {
  const { directory, startSeconds, stopGraceSeconds } = host;
  const failures = new Map<string, Failure>();
  const failureKey = (name: string, process: string) => `${name}/${process}`;

  async function startProcess(spec: EndpointSpec, version: ServedVersion, process: string): Promise<number> {
    const folder = endpointPaths(directory, spec.name).process(process);
    const label = `The server of ${version.model} version ${version.version}`;
    const command = await serverCommand(spec, version, folder);
    return (await startServing({ folder, label, startSeconds, command })).port;
  }

  async function serverCommand(spec: EndpointSpec, version: ServedVersion, folder: string): Promise<string[]> {
    const paths = endpointPaths(directory, spec.name);
    const model = resolve(version.path);
    if (version.runtime !== undefined) {
      const file = join(folder, "runtime.json");
      await mkdir(folder, { recursive: true });
      await writeJson(file, { ...version.runtime, model });
      return [host.servingEntry, "program", "--runtime", file];
    }
    const { drop = [], hash = [], scoreOnly = false, cloudEventsUrl, sagemaker = false } = spec.capture ?? {};
    // Nobody got a shadow's answers, so nobody else is told of them.
    const events = isShadow(version) ? undefined : cloudEventsUrl;
    return [
      host.servingEntry,
      "model",
      ...["--model-dir", model, "--name", version.model, "--version", version.version, "--alias", spec.name],
      ...(version.python === undefined ? [] : ["--python", version.python]),
      ...serverFlags(spec.server),
      ...["--capture-dir", isShadow(version) ? paths.shadow : paths.capture],
      ...drop.flatMap((name) => ["--capture-drop", name]),
      ...hash.flatMap((name) => ["--capture-hash", name]),
      ...(scoreOnly ? ["--capture-score-only"] : []),
      ...(events === undefined ? [] : ["--cloudevents-url", events, "--cloudevents-service", spec.name]),
      ...(sagemaker && !isShadow(version)
        ? ["--sagemaker-capture-dir", paths.sagemaker, "--sagemaker-endpoint", spec.name]
        : []),
    ];
  }

  function noteFailure(key: string, error: unknown): void {
    const count = (failures.get(key)?.count ?? 0) + 1;
    const message = error instanceof Error ? error.message : String(error);
    failures.set(key, { count, retryAt: Date.now() + Math.min(60_000, 500 * 2 ** count), message });
  }

  /** Ports by version key, of all processes for which `run` gave one. */
  async function eachProcess(
    spec: EndpointSpec,
    run: (version: ServedVersion, process: string) => Promise<number | undefined>,
  ): Promise<Map<string, number[]>> {
    const ports = new Map<string, number[]>();
    const started = spec.versions.map(async (version) => {
      const key = versionKey(spec, version);
      const found = await Promise.all(processKeys(spec, key).map((process) => run(version, process)));
      ports.set(
        key,
        found.filter((port) => port !== undefined),
      );
    });
    // All are waited for, so that nothing starts any more when this ends with an error.
    for (const outcome of await Promise.allSettled(started)) {
      if (outcome.status === "rejected") throw outcome.reason;
    }
    return ports;
  }

  return {
    start: (spec) =>
      eachProcess(spec, async (version, process) => {
        const key = failureKey(spec.name, process);
        try {
          const port = await startProcess(spec, version, process);
          failures.delete(key);
          return port;
        } catch (error) {
          if (version.weight > 0) throw error;
          noteFailure(key, error);
          return undefined;
        }
      }),
    heal: (spec) =>
      eachProcess(spec, async (version, process) => {
        const living = await findServing(endpointPaths(directory, spec.name).process(process));
        if (living !== undefined) return living.port;
        const key = failureKey(spec.name, process);
        if ((failures.get(key)?.retryAt ?? 0) > Date.now()) return undefined;
        try {
          const port = await startProcess(spec, version, process);
          failures.delete(key);
          return port;
        } catch (error) {
          noteFailure(key, error);
          return undefined;
        }
      }),
    failure(name, key) {
      for (const [process, { message }] of failures) {
        if (process === failureKey(name, key) || process.startsWith(`${failureKey(name, key)}.`)) return message;
      }
      return undefined;
    },
    async stop(name, keys) {
      const paths = endpointPaths(directory, name);
      await Promise.all(
        keys.map(async (key) => {
          failures.delete(failureKey(name, key));
          await stopServing(paths.process(key), stopGraceSeconds);
        }),
      );
    },
  };
}
