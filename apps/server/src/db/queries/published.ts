import { type ArtifactRef, EspalierError, type ModelSignature } from "@espalier/core";
import { sql } from "kysely";
import type { RecordDatabase } from "../database.ts";
import { fromJson } from "../json.ts";

export type Outputs = Readonly<Record<string, ArtifactRef>>;

/** What pipelines published, as MLflow's clients look for it: by run, and by model. */
export interface PublishedQueries {
  /** Outputs of the step that an attempt brought to its end; undefined when the run is no attempt, or not the one that succeeded. */
  outputsOfAttempt(attemptId: string): Promise<Outputs | undefined>;
  /** Steps of a pipeline's run that have outputs, in order of name. Empty when the run is no pipeline's. */
  stepsWithOutputs(runId: string): Promise<string[]>;
  /** Of a mapped step what its branches are to the next step: one. */
  outputsOfStep(runId: string, step: string): Promise<Outputs | undefined>;
  /** The files of a version on record, and its signature; undefined for any other digest. */
  model(digest: string): Promise<{ artifact: ArtifactRef; signature?: ModelSignature } | undefined>;
}

/** More than a pipeline can have. */
const mostSteps = 10_000;

export function createPublishedQueries({ kysely, projectId }: RecordDatabase): PublishedQueries {
  return {
    outputsOfAttempt: async (attemptId) => {
      const row = await kysely
        .selectFrom("attempts")
        .innerJoin("steps", (join) =>
          join
            .onRef("steps.project_id", "=", "attempts.project_id")
            .onRef("steps.run_id", "=", "attempts.run_id")
            .onRef("steps.step", "=", "attempts.step")
            .onRef("steps.branch", "=", "attempts.branch"),
        )
        .select("steps.outputs")
        .where("attempts.project_id", "=", projectId)
        .where("attempts.attempt_id", "=", attemptId)
        .where("attempts.state", "=", "succeeded")
        .executeTakeFirst();
      return outputsOf(row);
    },
    stepsWithOutputs: async (runId) => {
      const rows = await kysely
        .selectFrom("steps")
        .select("step")
        .where("project_id", "=", projectId)
        .where("run_id", "=", runId)
        .where("branch", "=", -1)
        .where("outputs", "is not", null)
        .orderBy("step")
        .limit(mostSteps)
        .execute();
      return rows.map((row) => row.step);
    },
    outputsOfStep: async (runId, step) => {
      const row = await kysely
        .selectFrom("steps")
        .select("outputs")
        .where("project_id", "=", projectId)
        .where("run_id", "=", runId)
        .where("step", "=", step)
        .where("branch", "=", -1)
        .executeTakeFirst();
      return outputsOf(row);
    },
    model: async (digest) => {
      const row = await kysely
        .selectFrom("model_versions")
        .select(["artifact", "signature"])
        .where("project_id", "=", projectId)
        .where("digest", "=", digest)
        .where("artifact", "is not", null)
        .where("stage", "!=", "Deleted_Internal")
        .orderBy(sql`signature IS NULL`)
        .limit(1)
        .executeTakeFirst();
      if (row === undefined) return undefined;
      const artifact = fromJson<ArtifactRef | null>(row.artifact ?? "null");
      if (artifact === null) throw new EspalierError("CORRUPTED", `The record has no artifact of the model ${digest}`);
      return {
        artifact,
        ...(row.signature === null ? {} : { signature: fromJson<ModelSignature>(row.signature) }),
      };
    },
  };
}

function outputsOf(row: { outputs: string | null } | undefined): Outputs | undefined {
  if (row === undefined || row.outputs === null) return undefined;
  const held = fromJson<Readonly<Record<string, ArtifactRef | null>>>(row.outputs);
  // A gate that refuses leaves its output empty.
  return Object.fromEntries(Object.entries(held).filter((entry): entry is [string, ArtifactRef] => entry[1] !== null));
}
