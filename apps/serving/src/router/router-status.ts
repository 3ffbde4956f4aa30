import type { RouterStatus } from "@espalier/core";
import type { Upstreams } from "./upstreams.ts";
import type { VersionPool } from "./version-pool.ts";

/** What `/status` says. `problem`: why the newest state file could not be read. */
export function routerStatus(upstreams: Upstreams, draining: boolean, problem: string | undefined): RouterStatus {
  const { inForce, wanted } = upstreams;
  const generation = inForce?.state.generation ?? 0;
  const waitsFor = wanted?.state.versions.flatMap(({ version, weight }, index) => {
    const replicas = wanted.replicas[index] ?? [];
    if (weight === 0 || replicas.some(({ up }) => up)) return [];
    return [`${version}: ${[...new Set(replicas.map(({ message }) => message))].join(", ")}`];
  });
  const message = problem ?? (waitsFor === undefined ? undefined : `waits for versions ${waitsFor.join("; ")}`);
  return {
    endpoint: (inForce ?? wanted)?.state.endpoint ?? "",
    pid: process.pid,
    generation,
    wantedGeneration: wanted?.state.generation ?? generation,
    ready:
      !draining &&
      (inForce?.pools.some(({ target, replicas }) => target.weight > 0 && replicas.some(({ up }) => up)) ?? false),
    ...(message === undefined ? {} : { message }),
    versions: inForce === undefined ? waiting(upstreams) : inForce.pools.map(versionStatus),
    draining: [...upstreams.draining].map(({ port }) => port),
  };
}

function waiting({ wanted }: Upstreams): RouterStatus["versions"] {
  return (wanted?.state.versions ?? []).map(({ key, model, version }, index) => {
    const replicas = wanted?.replicas[index] ?? [];
    const message = replicas.find((replica) => replica.message !== undefined)?.message;
    return {
      key,
      model,
      version,
      weight: 0,
      ready: replicas.some(({ up }) => up),
      ...(message === undefined ? {} : { message }),
      requests: 0,
      errors: 0,
    };
  });
}

function versionStatus(pool: VersionPool): RouterStatus["versions"][number] {
  const { key, model, version, weight, wantedReplicas } = pool.target;
  const ready = pool.replicas.filter(({ up }) => up).length;
  const message = pool.replicas.find((replica) => replica.message !== undefined)?.message;
  const p50Seconds = pool.quantile(0.5);
  const p99Seconds = pool.quantile(0.99);
  return {
    key,
    model,
    version,
    weight,
    ready: ready > 0,
    ...(message === undefined ? {} : { message }),
    requests: pool.requests,
    errors: pool.errors,
    ...(p50Seconds === undefined ? {} : { p50Seconds }),
    ...(p99Seconds === undefined ? {} : { p99Seconds }),
    durations: [...pool.durations],
    retries: pool.retries,
    queued: pool.queued,
    replicas: { ready, wanted: Math.max(wantedReplicas ?? 1, pool.replicas.length) },
    ...(pool.shadow === undefined ? {} : { shadow: { ...pool.shadow } }),
  };
}
