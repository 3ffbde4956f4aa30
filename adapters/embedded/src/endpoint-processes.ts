import { createHash } from "node:crypto";
import { access } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import {
  canonicalJson,
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
  /** The same captures as SageMaker writes them. */
  sagemaker: string;
  /** Captured answers to mirrored requests, which no monitor must take for traffic. */
  shadow: string;
  /** Folder of one process of a version. */
  process(key: string): string;
  /** Parent of those folders. */
  versions: string;
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
    sagemaker: join(folder, "sagemaker"),
    shadow: join(folder, "shadow"),
    process: (key) => join(folder, "versions", key),
    versions: join(folder, "versions"),
  };
}

/** Two contents under one version number are two servers, and so are two ways to run one content. */
export function versionKey(spec: Pick<EndpointSpec, "capture" | "server">, version: ServedVersion): string {
  const readable = `${version.model}-${version.version}`.replaceAll(/[^\w.-]/g, "_").slice(0, 80);
  const key = `${readable}-${version.digest.replace("sha256:", "").slice(0, 12)}`;
  const settings = {
    ...(version.runtime === undefined ? {} : { runtime: version.runtime }),
    ...(version.python === undefined ? {} : { python: version.python }),
    ...(spec.capture === undefined ? {} : { capture: spec.capture }),
    ...(spec.server === undefined || version.runtime !== undefined ? {} : { server: spec.server }),
    ...(isShadow(version) ? { shadow: true } : {}),
  };
  if (Object.keys(settings).length === 0) return key;
  const text = canonicalJson(JSON.parse(JSON.stringify(settings)));
  return `${key}-${createHash("sha256").update(text).digest("hex").slice(0, 8)}`;
}

export function isShadow({ mirror = 0 }: ServedVersion): boolean {
  return mirror > 0;
}

/** The processes of one version: the first under the version's own key. */
export function processKeys({ replicas = 1 }: EndpointSpec, key: string): string[] {
  return Array.from({ length: replicas }, (_, index) => (index === 0 ? key : `${key}.${index + 1}`));
}

/** Errors: INVALID_INPUT naming the member, NOT_FOUND for a model folder that is not there. */
export async function checkSpec(spec: EndpointSpec): Promise<void> {
  const { name, versions, captureRate, port, replicas = 1 } = spec;
  const refuse = (message: string, at: string): never => {
    throw new EspalierError("INVALID_INPUT", message, { at: `endpoints.${name}.${at}` });
  };
  if (versions.length === 0) refuse("An endpoint needs at least one version", "versions");
  for (const { weight, version, mirror = 0 } of versions) {
    if (!(weight >= 0 && weight <= 1)) refuse(`The weight of version ${version} is ${weight}, not 0 to 1`, "versions");
    if (!(mirror >= 0 && mirror <= 1))
      refuse(`The mirrored share of version ${version} is ${mirror}, not 0 to 1`, "versions");
    if (mirror > 0 && weight > 0) refuse(`Version ${version} has traffic, so none can be mirrored to it`, "versions");
  }
  const sum = versions.reduce((total, { weight }) => total + weight, 0);
  if (Math.abs(sum - 1) > 1e-6) refuse(`The weights sum to ${sum}, not to 1`, "versions");
  const keys = versions.map((version) => versionKey(spec, version));
  if (new Set(keys).size !== keys.length) refuse("A version is named twice", "versions");
  if (!(captureRate >= 0 && captureRate <= 1)) refuse(`The capture rate is ${captureRate}, not 0 to 1`, "captureRate");
  if (!Number.isInteger(port) || port < 0 || port > 65535) refuse(`${port} is not a port`, "port");
  if (!Number.isInteger(replicas) || replicas < 1 || replicas > 100) refuse(`${replicas} is not 1 to 100`, "replicas");
  for (const [index, { version }] of (spec.rules ?? []).entries()) {
    if (versions.some((served) => served.version === version)) continue;
    refuse(
      `Version ${version} is not served here, only ${versions.map((one) => one.version).join(", ")}`,
      `rules.${index}`,
    );
  }
  for (const { path, model, version } of versions) {
    await access(path).catch((cause: unknown) => {
      throw new EspalierError("NOT_FOUND", `The folder of ${model} version ${version} is not there`, {
        at: path,
        cause,
      });
    });
  }
}

/** Where callers of a program of the user's may go unless it says so itself. */
const programPaths = ["/v1/", "/v2/", "/predict", "/generate"];

/** `ports`: of the processes that serve, by version key. A version without any is left out. */
export function routerState(spec: EndpointSpec, ports: ReadonlyMap<string, readonly number[]>): RouterState {
  const versions = spec.versions.flatMap((version): RouterState["versions"] => {
    const key = versionKey(spec, version);
    const [port, ...replicaPorts] = ports.get(key) ?? [];
    if (port === undefined) return [];
    const { runtime, mirror } = version;
    return [
      {
        key,
        model: version.model,
        version: version.version,
        port,
        ...(replicaPorts.length === 0 ? {} : { replicaPorts }),
        ...((spec.replicas ?? 1) === 1 ? {} : { wantedReplicas: spec.replicas }),
        weight: version.weight,
        ...(mirror === undefined ? {} : { mirror }),
        ...(runtime === undefined
          ? {}
          : { healthPath: runtime.healthPath ?? "/health", paths: runtime.paths ?? programPaths }),
      },
    ];
  });
  return {
    format: 1,
    endpoint: spec.name,
    generation: spec.generation,
    captureRate: spec.captureRate,
    versions,
    ...(spec.rules === undefined ? {} : { rules: [...spec.rules] }),
    ...(spec.stickyHeader === undefined ? {} : { stickyHeader: spec.stickyHeader }),
    ...(spec.limits === undefined ? {} : { limits: spec.limits }),
  };
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
