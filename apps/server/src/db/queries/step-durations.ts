import { sql } from "kysely";
import type { RecordDatabase } from "../database.ts";

export interface StepDuration {
  step: string;
  /** Of the newest of its executions, seconds, newest first; cached ones took no time and are not among them. */
  seconds: number[];
}

export interface StepDurationQueries {
  /** Of each step of a pipeline in its newest runs. */
  of(pipeline: string): Promise<StepDuration[]>;
}

const newestRuns = 50;
const newestExecutions = 5;

export function createStepDurationQueries({ kysely, projectId }: RecordDatabase): StepDurationQueries {
  return {
    of: async (pipeline) => {
      const runs = kysely
        .selectFrom("pipeline_runs")
        .select("run_id")
        .where("project_id", "=", projectId)
        .where("pipeline", "=", pipeline)
        .orderBy("created_at", "desc")
        .orderBy("run_id", "desc")
        .limit(newestRuns);
      const rows = await kysely
        .selectFrom("steps")
        .select(["step", sql<number>`finished_at - started_at`.as("took")])
        .where("project_id", "=", projectId)
        .where("run_id", "in", kysely.selectFrom(runs.as("newest")).select("run_id"))
        .where("branch", "=", -1)
        .where("state", "=", "succeeded")
        .where("started_at", "is not", null)
        .orderBy("finished_at", "desc")
        .execute();
      const found = new Map<string, number[]>();
      for (const { step, took } of rows) {
        const seconds = found.get(step) ?? [];
        if (seconds.length < newestExecutions) seconds.push(Number(took) / 1000);
        found.set(step, seconds);
      }
      return [...found].map(([step, seconds]) => ({ step, seconds }));
    },
  };
}
