import { type EndpointSpec, EspalierError } from "@espalier/core";

/**
 * What was served before the last rollout: the newest earlier generation with one version at full weight that is not the one at full
 * weight now. Capture and port stay as they are; the generation is for the record to count. Errors: NOT_FOUND.
 */
export function rollbackSpec(current: EndpointSpec, history: readonly EndpointSpec[]): EndpointSpec {
  const now = settledDigest(current);
  const earlier = [...history]
    .filter(({ generation }) => generation < current.generation)
    .sort((a, b) => b.generation - a.generation)
    .find((spec) => {
      const digest = settledDigest(spec);
      return digest !== undefined && digest !== now;
    });
  if (earlier === undefined) {
    throw new EspalierError("NOT_FOUND", `Endpoint ${current.name} has no earlier version to go back to`, {
      hint: "`espalier model list` shows the versions; `espalier deploy` serves one of them.",
    });
  }
  const versions = earlier.versions.filter(({ weight }) => weight > 0);
  return { ...current, generation: current.generation + 1, versions };
}

function settledDigest(spec: EndpointSpec): string | undefined {
  return spec.versions.find(({ weight }) => Math.abs(weight - 1) < 1e-6)?.digest;
}
