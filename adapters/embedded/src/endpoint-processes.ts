import { access } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import {
  type EndpointSpec,
  EspalierError,
  nameSchema,
  type RouterState,
  type RouterStatus,
  routerStatusSchema,
  type ServedVersion,
} from "@espalier/core";

/** Names, files and checks of one endpoint's folder. */

export interface EndpointPaths {
  folder: string;
  /** The spec in force, as the control plane gave it. */
  spec: string;
  /** What the router reads. */
  state: string;
  router: string;
  capture: string;
  version(key: string): string;
}

export function endpointPaths(directory: string, name: string): EndpointPaths {
  if (!nameSchema.safeParse(name).success) {
    throw new EspalierError("INVALID_INPUT", `"${name}" is not a name of an endpoint`, {
      hint: "Lower-case letters, digits, '.', '_' and '-', at most 63.",
    });
  }
  const folder = join(directory, name);
  return {
    folder,
    spec: join(folder, "spec.json"),
    state: join(folder, "state.json"),
    router: join(folder, "router"),
    capture: join(folder, "capture"),
    version: (key) => join(folder, "versions", key),
  };
}

/** Two contents under one version number are two servers. */
export function versionKey(version: ServedVersion): string {
  const readable = `${version.model}-${version.version}`.replaceAll(/[^\w.-]/g, "_").slice(0, 80);
  return `${readable}-${version.digest.replace("sha256:", "").slice(0, 12)}`;
}

/** Errors: INVALID_INPUT naming the member, NOT_FOUND for a model folder that is not there. */
export async function checkSpec(spec: EndpointSpec): Promise<void> {
  const { name, versions, captureRate, port } = spec;
  const refuse = (message: string, at: string): never => {
    throw new EspalierError("INVALID_INPUT", message, { at: `endpoints.${name}.${at}` });
  };
  if (versions.length === 0) refuse("An endpoint needs at least one version", "versions");
  for (const { weight, version } of versions) {
    if (!(weight >= 0 && weight <= 1)) refuse(`The weight of version ${version} is ${weight}, not 0 to 1`, "versions");
  }
  const sum = versions.reduce((total, { weight }) => total + weight, 0);
  if (Math.abs(sum - 1) > 1e-6) refuse(`The weights sum to ${sum}, not to 1`, "versions");
  const keys = versions.map(versionKey);
  if (new Set(keys).size !== keys.length) refuse("A version is named twice", "versions");
  if (!(captureRate >= 0 && captureRate <= 1)) refuse(`The capture rate is ${captureRate}, not 0 to 1`, "captureRate");
  if (!Number.isInteger(port) || port < 0 || port > 65535) refuse(`${port} is not a port`, "port");
  for (const { path, model, version } of versions) {
    await access(path).catch((cause: unknown) => {
      throw new EspalierError("NOT_FOUND", `The folder of ${model} version ${version} is not there`, {
        at: path,
        cause,
      });
    });
  }
}

export function routerState(spec: EndpointSpec, ports: ReadonlyMap<string, number>): RouterState {
  const versions = spec.versions.flatMap((version) => {
    const key = versionKey(version);
    const port = ports.get(key);
    return port === undefined
      ? []
      : [{ key, model: version.model, version: version.version, port, weight: version.weight }];
  });
  return { format: 1, endpoint: spec.name, generation: spec.generation, captureRate: spec.captureRate, versions };
}

/** Absent when the router does not answer. */
export async function askRouter(port: number): Promise<RouterStatus | undefined> {
  try {
    const response = await fetch(`http://127.0.0.1:${port}/status`, { signal: AbortSignal.timeout(10_000) });
    return routerStatusSchema.parse(await response.json());
  } catch {
    return undefined;
  }
}

/** Errors: PORT_IN_USE. Asked before anything is started or stopped, so that a wrong port costs nothing. */
export async function checkPortFree(port: number): Promise<void> {
  if (port === 0) return;
  const probe = createServer();
  await new Promise<void>((resolve, reject) => {
    probe.once("error", (cause) =>
      reject(
        new EspalierError("PORT_IN_USE", `Port ${port} is in use`, {
          cause,
          details: { port },
          hint: "Give the endpoint another port, or 0 to let Espalier choose one.",
        }),
      ),
    );
    probe.listen(port, "127.0.0.1", () => probe.close(() => resolve()));
  });
}
