import type { Endpoint, EndpointChange, Rollout } from "@espalier/contract";
import {
  durationQuantile,
  type EndpointStatus,
  isEspalierError,
  type ServedVersion,
  type VersionStatus,
} from "@espalier/core";
import type { ControlPlane } from "../control-plane.ts";
import type { EndpointGeneration, EndpointRow } from "../db/queries/endpoints.ts";
import type { RolloutRow } from "../db/queries/rollouts.ts";
import { detailsOf } from "../deployments/rollout-steps.ts";
import { isStatusOf } from "../rollouts/counts.ts";

/** Rows of the record as the API shows them. */

export async function endpointOf({ stack }: ControlPlane, row: EndpointRow): Promise<Endpoint> {
  const status = await stack.deployer.status(row.name).catch((error: unknown) => {
    if (isEspalierError(error) && error.retryable) return undefined;
    throw error;
  });
  const { rules } = row.spec;
  return {
    name: row.name,
    generation: row.generation,
    state: stateOf(row, status),
    ...(status === undefined ? {} : { url: status.url }),
    versions: row.spec.versions.map((version) =>
      versionOf(
        version,
        status?.versions.find((one) => isStatusOf(version, one)),
      ),
    ),
    captureRate: row.spec.captureRate,
    ...(rules === undefined ? {} : { rules: JSON.parse(JSON.stringify(rules)) }),
    updatedAt: row.updatedAt,
  };
}

function versionOf(version: ServedVersion, seen: VersionStatus | undefined): Endpoint["versions"][number] {
  const p99Seconds = durationQuantile(seen?.durations ?? [], 0.99);
  return {
    model: version.model,
    version: version.version,
    weight: version.weight,
    ...(version.mirror === undefined ? {} : { mirror: version.mirror }),
    ...(version.keepUntil === undefined ? {} : { keepUntil: version.keepUntil }),
    ...(seen === undefined ? {} : { ready: seen.ready, requests: seen.requests, errors: seen.errors }),
    ...(p99Seconds === undefined ? {} : { p99Seconds }),
    ...(seen?.replicas === undefined ? {} : { replicas: seen.replicas }),
    ...(seen?.shadow === undefined ? {} : { shadow: seen.shadow }),
    ...(seen?.message === undefined ? {} : { message: seen.message }),
  };
}

function stateOf(row: EndpointRow, status: EndpointStatus | undefined): Endpoint["state"] {
  if (row.deletedAt !== undefined) return "deleted";
  if (status === undefined) return "failed";
  if (!status.ready) return status.versions.some((version) => version.message !== undefined) ? "failed" : "deploying";
  return status.generation < row.generation ? "degraded" : "ready";
}

export function rolloutOf(row: RolloutRow): Rollout {
  const { details, ...shown } = row;
  const { by, progress } = detailsOf({ ...row, details });
  return {
    ...shown,
    startedBy: by ?? "",
    // Rollouts of earlier programs kept no analyses.
    steps: (progress?.analyses ?? []).map(({ step: _step, ...analysis }) => analysis),
  };
}

export function changeOf({
  generation,
  createdAt,
  changedBy,
  reason,
  runId,
  spec,
}: EndpointGeneration): EndpointChange {
  return {
    generation,
    at: createdAt,
    by: changedBy,
    reason,
    ...(runId === undefined ? {} : { runId }),
    versions: spec.versions.map(({ model, version, weight, mirror }) => ({
      model,
      version,
      weight,
      ...(mirror === undefined ? {} : { mirror }),
    })),
  };
}
