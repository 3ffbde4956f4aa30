import type { ArtifactRef, CachedResult, Digest, Json, StepRow } from "@espalier/core";
import type { RecordDatabase } from "../../database.ts";
import { fromJson } from "../../json.ts";
import { toStepRow } from "./rows.ts";

export async function findCached(database: RecordDatabase, cacheKey: Digest): Promise<CachedResult | undefined> {
  const row = await database.kysely
    .selectFrom("cache_entries as entry")
    .innerJoin("attempts as attempt", (join) =>
      join.onRef("attempt.project_id", "=", "entry.project_id").onRef("attempt.attempt_id", "=", "entry.attempt_id"),
    )
    .innerJoin("steps as step", (join) =>
      join
        .onRef("step.project_id", "=", "attempt.project_id")
        .onRef("step.run_id", "=", "attempt.run_id")
        .onRef("step.step", "=", "attempt.step")
        .onRef("step.branch", "=", "attempt.branch"),
    )
    .select(["entry.attempt_id", "entry.run_id", "step.outputs", "step.step_values"])
    .where("entry.project_id", "=", database.projectId)
    .where("entry.cache_key", "=", cacheKey)
    .where("step.state", "=", "succeeded")
    .executeTakeFirst();
  if (row === undefined) return undefined;
  return {
    attemptId: row.attempt_id,
    runId: row.run_id,
    outputs: row.outputs === null ? {} : fromJson<Record<string, ArtifactRef>>(row.outputs),
    values: row.step_values === null ? {} : fromJson<Record<string, Json>>(row.step_values),
  };
}

const mostEarlierSteps = 1000;

export async function earlierSteps(
  database: RecordDatabase,
  pipeline: string,
  step: string,
  limit: number,
): Promise<StepRow[]> {
  const rows = await database.kysely
    .selectFrom("pipeline_runs as run")
    .innerJoin("steps as step", (join) =>
      join.onRef("step.project_id", "=", "run.project_id").onRef("step.run_id", "=", "run.run_id"),
    )
    .selectAll("step")
    .where("run.project_id", "=", database.projectId)
    .where("run.pipeline", "=", pipeline)
    .where("step.step", "=", step)
    .orderBy("run.created_at", "desc")
    .orderBy("run.run_id", "desc")
    .orderBy("step.branch")
    .limit(Math.min(limit, mostEarlierSteps))
    .execute();
  return rows.map(toStepRow);
}
