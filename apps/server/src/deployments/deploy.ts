import { join } from "node:path";
import {
  type EndpointSpec,
  type EndpointStatus,
  EspalierError,
  isEspalierError,
  type ServedVersion,
  ulid,
} from "@espalier/core";
import type { ControlPlane } from "../control-plane.ts";
import type { EndpointRow } from "../db/queries/endpoints.ts";
import type { ModelVersionRow } from "../db/queries/models.ts";
import type { RolloutRow } from "../db/queries/rollouts.ts";

export interface DeployRequest {
  endpoint: string;
  version: ModelVersionRow;
  strategy: "direct" | "canary";
  /** First share of a canary. */
  weight?: number | undefined;
  captureRate?: number | undefined;
  /** Alias that follows the version once it has all traffic. */
  alias?: string | undefined;
  by: string;
  runId?: string;
}

export interface DeployResult {
  endpoint: EndpointRow;
  rollout?: RolloutRow;
  unchanged: boolean;
}

const firstCanaryWeight = 0.1;

/** Makes a version the one that an endpoint serves, at once or by a canary. Idempotent: what is served already is `unchanged`. */
export async function deploy(plane: ControlPlane, request: DeployRequest): Promise<DeployResult> {
  const { record, project } = plane;
  const current = await record.endpoints.get(request.endpoint);
  const alive = current?.deletedAt === undefined ? current : undefined;
  const settings = project.config.endpoints?.[request.endpoint];
  const captureRate = request.captureRate ?? settings?.capture_rate ?? alive?.spec.captureRate ?? 1;
  const version = String(request.version.version);
  const serving = alive?.spec.versions.find((one) => one.model === request.version.name && one.version === version);

  const rollout = (await record.rollouts.active()).find((one) => one.endpoint === request.endpoint);
  if (
    alive !== undefined &&
    rollout !== undefined &&
    rollout.model === request.version.name &&
    rollout.toVersion === version
  ) {
    return { endpoint: await applyDesired(plane, alive), rollout, unchanged: true };
  }
  if (alive !== undefined && serving?.weight === 1 && alive.spec.captureRate === captureRate) {
    return { endpoint: await applyDesired(plane, alive), unchanged: true };
  }

  const stable = alive?.spec.versions.reduce((best, one) => (one.weight > best.weight ? one : best));
  const served = await servedVersion(plane, request.version);
  const isCanary = request.strategy === "canary" && stable !== undefined && serving?.weight !== 1;
  if (isCanary) return startCanary(plane, request, alive as EndpointRow, stable, served, captureRate);
  const endpoint = await record.endpoints.save({
    spec: {
      name: request.endpoint,
      generation: 0,
      versions: [{ ...served, weight: 1 }],
      captureRate,
      port: settings?.port ?? alive?.spec.port ?? 0,
    },
    expectedGeneration: current?.generation ?? 0,
    reason: `deploy ${request.version.name} version ${version}`,
    changedBy: request.by,
    ...(request.runId === undefined ? {} : { runId: request.runId }),
  });
  const applied = await applyDesired(plane, endpoint);
  await moveAlias(plane, request);
  return { endpoint: applied, unchanged: false };
}

async function startCanary(
  plane: ControlPlane,
  request: DeployRequest,
  alive: EndpointRow,
  stable: ServedVersion,
  served: Omit<ServedVersion, "weight">,
  captureRate: number,
): Promise<DeployResult> {
  const { record } = plane;
  const weight = request.weight ?? firstCanaryWeight;
  const rollout = await record.rollouts.start({
    id: ulid(),
    endpoint: request.endpoint,
    model: request.version.name,
    toVersion: served.version,
    fromVersion: stable.version,
    strategy: "canary",
    weight,
    details: { alias: request.alias ?? null, by: request.by, runId: request.runId ?? null },
  });
  const endpoint = await record.endpoints.save({
    spec: {
      ...alive.spec,
      captureRate,
      versions: [
        { ...stable, weight: 1 - weight },
        { ...served, weight },
      ],
    },
    expectedGeneration: alive.generation,
    reason: `canary of ${request.version.name} version ${served.version}`,
    changedBy: request.by,
    ...(request.runId === undefined ? {} : { runId: request.runId }),
  });
  const applied = await applyDesired(plane, endpoint);
  return {
    endpoint: applied,
    rollout: await record.rollouts.update(rollout.id, { state: "running" }),
    unchanged: false,
  };
}

/** Makes the desired state real and remembers what the deployer says. */
export async function applyDesired({ record, stack }: ControlPlane, endpoint: EndpointRow): Promise<EndpointRow> {
  const status: EndpointStatus = await stack.deployer.apply({ ...endpoint.spec, generation: endpoint.generation });
  await record.endpoints.saveStatus(status);
  return { ...endpoint, status };
}

/** The version that had all traffic before the present one, as it was configured then. Ends a canary under way. */
export async function rollback(
  plane: ControlPlane,
  name: string,
  by: string,
  reason: string | undefined,
): Promise<DeployResult> {
  const { record } = plane;
  const endpoint = await record.endpoints.get(name);
  if (endpoint === undefined || endpoint.deletedAt !== undefined) throw noEndpoint(name);
  const active = (await record.rollouts.active()).find((one) => one.endpoint === name);
  const target = active === undefined ? await previousSpec(plane, endpoint) : withoutCanary(endpoint, active);
  if (target === undefined) {
    throw new EspalierError("CONFLICT", `Endpoint ${name} has served nothing else before`, {
      hint: "`espalier deploy` serves another version.",
    });
  }
  const saved = await record.endpoints.save({
    spec: target,
    expectedGeneration: endpoint.generation,
    reason: reason ?? "rollback",
    changedBy: by,
  });
  const applied = await applyDesired(plane, saved);
  if (active === undefined) return { endpoint: applied, unchanged: false };
  const ended = await record.rollouts.update(active.id, {
    state: "rolled_back",
    weight: 0,
    reason: reason ?? `by ${by}`,
  });
  return { endpoint: applied, rollout: ended, unchanged: false };
}

function withoutCanary({ spec }: EndpointRow, rollout: RolloutRow): EndpointSpec | undefined {
  const kept = spec.versions.filter((one) => one.version !== rollout.toVersion || one.model !== rollout.model);
  return kept[0] === undefined ? undefined : { ...spec, versions: [{ ...kept[0], weight: 1 }] };
}

async function previousSpec({ record }: ControlPlane, endpoint: EndpointRow): Promise<EndpointSpec | undefined> {
  const now = endpoint.spec.versions.map((one) => `${one.model}@${one.version}`);
  let cursor: string | undefined;
  do {
    const page = await record.endpoints.history(endpoint.name, { limit: 100, cursor });
    for (const { spec } of page.items) {
      const [only, second] = spec.versions;
      if (second === undefined && only !== undefined && !now.includes(`${only.model}@${only.version}`)) {
        return { ...endpoint.spec, versions: [{ ...only, weight: 1 }] };
      }
    }
    cursor = page.next;
  } while (cursor !== undefined);
  return undefined;
}

/** The model folder lies ready for the deployer; its name is its digest, so that versions with equal content share it. */
export async function servedVersion(
  { project, artifacts }: ControlPlane,
  version: ModelVersionRow,
): Promise<Omit<ServedVersion, "weight">> {
  const path = join(project.stateDirectory, "models", version.digest.slice(7));
  try {
    await artifacts.materialise(version.artifact, path);
  } catch (error) {
    if (!isEspalierError(error) || error.code !== "ALREADY_EXISTS") throw error;
  }
  return { version: String(version.version), model: version.name, digest: version.digest, path };
}

/** Once a version has all traffic, its alias follows. */
export async function moveAlias(
  { record }: ControlPlane,
  { alias, version, by }: Pick<DeployRequest, "alias" | "version" | "by">,
): Promise<void> {
  if (alias === undefined) return;
  await record.aliases.set({
    name: version.name,
    alias,
    toVersion: version.version,
    changedBy: by,
    reason: "deployed",
  });
}

export function noEndpoint(name: string): EspalierError {
  return new EspalierError("NOT_FOUND", `There is no endpoint ${name}`, {
    hint: "`espalier deploy` makes one; `espalier runs show` tells which step would.",
  });
}
