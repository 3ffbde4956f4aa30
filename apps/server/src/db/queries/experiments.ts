import { EspalierError } from "@espalier/core";
import type { RecordDatabase, RecordTransaction } from "../database.ts";

/** MLflow's words for the states of runs. */
export type TrackingStatus = "SCHEDULED" | "RUNNING" | "FINISHED" | "FAILED" | "KILLED";

const defaultExperimentId = "0";

/** Experiment "0", `Default`, exists from the start, as MLflow's clients expect. */
export async function ensureDefaultExperiment(database: RecordDatabase): Promise<void> {
  await database.kysely
    .insertInto("experiments")
    .values({
      project_id: database.projectId,
      experiment_id: defaultExperimentId,
      name: "Default",
      lifecycle_stage: "active",
      creation_time: database.now,
      last_update_time: database.now,
    })
    .onConflict((conflict) => conflict.doNothing())
    .execute();
}

/** The experiment of a pipeline (or of any name), made when it is not there. Idempotent. */
export async function ensureExperiment(
  database: RecordDatabase,
  transaction: RecordTransaction,
  name: string,
): Promise<string> {
  return (
    (await findExperiment(database, transaction, name)) ??
    (await insertExperiment(database, transaction, { name })) ??
    (await findExperiment(database, transaction, name)) ??
    noneFree(name)
  );
}

/** As `ensureExperiment`; one that was deleted on MLflow's face comes back, without its old runs: the pipeline runs again. */
export async function experimentOfPipeline(
  database: RecordDatabase,
  transaction: RecordTransaction,
  pipeline: string,
): Promise<string> {
  const id = await ensureExperiment(database, transaction, pipeline);
  await transaction
    .updateTable("experiments")
    .set({ lifecycle_stage: "active", last_update_time: database.now })
    .where("project_id", "=", database.projectId)
    .where("experiment_id", "=", id)
    .where("lifecycle_stage", "<>", "active")
    .execute();
  return id;
}

async function findExperiment(
  database: RecordDatabase,
  transaction: RecordTransaction,
  name: string,
): Promise<string | undefined> {
  const found = await transaction
    .selectFrom("experiments")
    .select("experiment_id")
    .where("project_id", "=", database.projectId)
    .where("name", "=", name)
    .executeTakeFirst();
  return found?.experiment_id;
}

/** The new experiment's id; undefined when the name is taken. Ids are numbers, as MLflow's clients expect. */
export async function insertExperiment(
  database: RecordDatabase,
  transaction: RecordTransaction,
  { name, artifactLocation }: { name: string; artifactLocation?: string },
): Promise<string | undefined> {
  for (let tries = 0; tries < 10; tries += 1) {
    if ((await findExperiment(database, transaction, name)) !== undefined) return undefined;
    const highest = await transaction
      .selectFrom("experiments")
      .select((columns) => columns.fn.max(columns.cast<number>("experiment_id", "bigint")).as("highest"))
      .where("project_id", "=", database.projectId)
      .executeTakeFirst();
    const id = String(Number(highest?.highest ?? 0) + 1);
    // Two servers may pick the same number: the second insert does nothing, and the loop looks again.
    const made = await transaction
      .insertInto("experiments")
      .values({
        project_id: database.projectId,
        experiment_id: id,
        name,
        artifact_location: artifactLocation ?? null,
        lifecycle_stage: "active",
        creation_time: database.now,
        last_update_time: database.now,
      })
      .onConflict((conflict) => conflict.doNothing())
      .returning("experiment_id")
      .executeTakeFirst();
    if (made !== undefined) return made.experiment_id;
  }
  return noneFree(name);
}

function noneFree(name: string): never {
  throw new EspalierError("CONFLICT", `No number was free for the experiment ${name}`, { hint: "Try again." });
}
