import { type EndpointSpec, EspalierError, type ServedVersion } from "@espalier/core";

/**
 * What was served before the last rollout: the newest earlier generation with one version at full weight that is not the one at full
 * weight now. Everything else of the endpoint stays, with the versions that its rules name; the generation is for the record to count.
 * Errors: NOT_FOUND.
 */
export function rollbackSpec(current: EndpointSpec, history: readonly EndpointSpec[]): EndpointSpec {
  const now = settled(current);
  const earlier = [...history]
    .filter(({ generation }) => generation < current.generation)
    .sort((a, b) => b.generation - a.generation)
    .map(settled)
    .find((version) => version !== undefined && !(version.digest === now?.digest && isSameRuntime(version, now)));
  if (earlier === undefined) {
    throw new EspalierError("NOT_FOUND", `Endpoint ${current.name} has no earlier version to go back to`, {
      hint: "`espalier model list` shows the versions; `espalier deploy` serves one of them.",
    });
  }
  const { keepUntil: _kept, ...back } = earlier;
  const ruled = new Set((current.rules ?? []).map((rule) => rule.version));
  const beside = current.versions.filter(
    (version) => version.version !== back.version && (ruled.has(version.version) || (version.mirror ?? 0) > 0),
  );
  const versions = [...beside.map((version) => ({ ...version, weight: 0 })), back];
  return { ...current, generation: current.generation + 1, versions };
}

function settled(spec: EndpointSpec): ServedVersion | undefined {
  return spec.versions.find(({ weight }) => Math.abs(weight - 1) < 1e-6);
}

function isSameRuntime(one: ServedVersion, other: ServedVersion): boolean {
  return JSON.stringify(one.runtime) === JSON.stringify(other.runtime);
}
