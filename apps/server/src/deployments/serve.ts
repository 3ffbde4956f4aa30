import { join } from "node:path";
import { type EndpointSpec, EspalierError, isEspalierError, type ServedVersion } from "@espalier/core";
import { modelEnvironment } from "@espalier/host";
import type { ControlPlane } from "../control-plane.ts";
import type { EndpointRow } from "../db/queries/endpoints.ts";
import type { HeldVersion } from "../models/version-content.ts";

/** Everything of a spec that is no version. */
export type EndpointSettings = Omit<EndpointSpec, "name" | "generation" | "versions">;

/** Makes the desired state real and remembers what the deployer says. */
export async function applyDesired({ record, stack }: ControlPlane, endpoint: EndpointRow): Promise<EndpointRow> {
  const status = await stack.deployer.apply({ ...endpoint.spec, generation: endpoint.generation });
  await record.endpoints.saveStatus(status);
  return { ...endpoint, status };
}

/** These versions as the next generation, unless they are in force already; applied either way. */
export async function serveVersions(
  plane: ControlPlane,
  base: EndpointSpec,
  versions: readonly ServedVersion[],
  change: { reason: string; by: string; runId: string | null },
): Promise<EndpointRow> {
  const { record } = plane;
  const current = await record.endpoints.get(base.name);
  const alive = current?.deletedAt === undefined ? current : undefined;
  const spec: EndpointSpec = { ...base, versions: [...versions] };
  if (alive !== undefined && isSame(alive.spec, spec)) return applyDesired(plane, alive);
  const saved = await record.endpoints.save({
    spec,
    expectedGeneration: current?.generation ?? 0,
    reason: change.reason,
    changedBy: change.by,
    ...(change.runId === null ? {} : { runId: change.runId }),
  });
  return applyDesired(plane, saved);
}

/** Versions that rules name, or that are shadows for good, stay beside those that a rollout moves. */
export function withBeside(versions: readonly ServedVersion[], beside: readonly ServedVersion[]): ServedVersion[] {
  const missing = beside.filter((one) => !versions.some((other) => isSameVersion(one, other)));
  return [...missing, ...versions];
}

export function isSameVersion(
  one: Pick<ServedVersion, "model" | "version">,
  other: Pick<ServedVersion, "model" | "version">,
): boolean {
  return one.model === other.model && one.version === other.version;
}

export function isSame(one: EndpointSpec, other: EndpointSpec): boolean {
  const shown = ({ generation: _, ...rest }: EndpointSpec) => JSON.stringify(Object.entries(rest).sort());
  return shown(one) === shown(other);
}

/**
 * The model folder lies ready for the deployer; its name is its digest, so that versions with equal content share it. So does the environment
 * of a model that Python runs, unless a program of the user's serves it: what can not be built never gets traffic. Errors:
 * ENVIRONMENT_FAILED, NOT_INSTALLED, INVALID_DATA.
 */
export async function servedVersion(
  { project, artifacts, environments }: ControlPlane,
  version: HeldVersion,
  { isServedByUs = true } = {},
): Promise<Omit<ServedVersion, "weight">> {
  const path = join(project.stateDirectory, "models", version.digest.slice(7));
  try {
    await artifacts.materialise(version.artifact, path);
  } catch (error) {
    if (!isEspalierError(error) || error.code !== "ALREADY_EXISTS") throw error;
  }
  const served = { version: String(version.version), model: version.name, digest: version.digest, path };
  if (!isServedByUs) return served;
  const environment = await modelEnvironment(environments, {
    folder: path,
    label: `${version.name} version ${version.version}`,
    locks: join(project.stateDirectory, "model-environments"),
  });
  return environment === undefined ? served : { ...served, python: environment.program };
}

export function noEndpoint(name: string): EspalierError {
  return new EspalierError("NOT_FOUND", `There is no endpoint ${name}`, {
    hint: "`espalier deploy` makes one; `espalier runs show` tells which step would.",
  });
}
