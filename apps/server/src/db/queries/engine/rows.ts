import type {
  ArtifactRef,
  AttemptRow,
  AttemptState,
  Digest,
  Json,
  PipelineIr,
  RunRow,
  RunState,
  StepRow,
  StepState,
  StoredError,
} from "@espalier/core";
import type { Selectable } from "kysely";
import { fromJson, present, presentJson } from "../../json.ts";
import type { AttemptsTable, PipelineRunsTable, StepsTable } from "../../schema/engine.ts";

export function toRunRow(row: Selectable<PipelineRunsTable> & { ir: string }): RunRow {
  return {
    id: row.run_id,
    pipeline: fromJson<PipelineIr>(row.ir),
    pipelineDigest: row.pipeline_digest as Digest,
    params: fromJson(row.params),
    stack: row.stack,
    trigger: fromJson(row.trigger_json),
    ...present("logicalDate", row.logical_date),
    options: fromJson(row.options),
    resolved: fromJson(row.resolved),
    snapshots: fromJson(row.snapshots),
    state: row.state as RunState,
    leaseEpoch: row.lease_epoch,
    createdAt: row.created_at,
    ...present("startedAt", row.started_at),
    ...present("finishedAt", row.finished_at),
    cancelRequested: row.cancel_requested === 1,
    ...presentJson<"error", StoredError>("error", row.error),
  };
}

export function toStepRow(row: Selectable<StepsTable>): StepRow {
  return {
    runId: row.run_id,
    step: row.step,
    branch: row.branch,
    state: row.state as StepState,
    ...present("cacheKey", row.cache_key as Digest | null),
    ...presentJson<"keyParts", Record<string, Json>>("keyParts", row.key_parts),
    ...presentJson<"outputs", Record<string, ArtifactRef>>("outputs", row.outputs),
    ...presentJson<"values", Record<string, Json>>("values", row.step_values),
    ...presentJson<"item", Json>("item", row.item),
    ...present("cachedFrom", row.cached_from),
    ...present("reason", row.reason),
    ...presentJson<"error", StoredError>("error", row.error),
    ...present("startedAt", row.started_at),
    ...present("finishedAt", row.finished_at),
  };
}

export function toAttemptRow(row: Selectable<AttemptsTable>): AttemptRow {
  return {
    id: row.attempt_id,
    runId: row.run_id,
    step: row.step,
    branch: row.branch,
    number: row.number,
    state: row.state as AttemptState,
    tool: row.tool,
    ...present("handle", row.handle),
    ...present("cause", row.cause as NonNullable<AttemptRow["cause"]> | null),
    ...present("exitCode", row.exit_code),
    ...present("message", row.message),
    ...presentJson<"log", ArtifactRef>("log", row.log),
    createdAt: row.created_at,
    ...present("startedAt", row.started_at),
    ...present("finishedAt", row.finished_at),
  };
}
