import type { Selectable } from "kysely";
import type { RecordDatabase, RecordTransaction } from "../../database.ts";
import { noteTracking } from "../../mirror-changes.ts";
import type { ExperimentsTable } from "../../schema/tracking.ts";
import { insertExperiment } from "../experiments.ts";

export type LifecycleStage = "active" | "deleted";

export interface KeyValue {
  key: string;
  value: string;
}

export interface TrackedExperiment {
  id: string;
  name: string;
  /** Where its runs' artifacts lie; a URI of the artifact proxy. */
  artifactLocation: string;
  lifecycleStage: LifecycleStage;
  creationTime: number;
  lastUpdateTime: number;
  /** By key. */
  tags: KeyValue[];
}

export interface NewExperiment {
  name: string;
  artifactLocation?: string;
  tags: readonly KeyValue[];
}

/** What became of a change: `missing` when there is no such experiment in a stage that allows it. */
export type ExperimentChange = "changed" | "missing" | "not-active" | "name-taken" | "no-tag";

export interface ExperimentQueries {
  /** undefined: an experiment of that name exists, active or deleted. */
  create(experiment: NewExperiment): Promise<string | undefined>;
  get(id: string): Promise<TrackedExperiment | undefined>;
  /** Deleted ones too, since they keep their name. */
  byName(name: string): Promise<TrackedExperiment | undefined>;
  rename(id: string, name: string): Promise<ExperimentChange>;
  /** Its runs go and come with it. Only on this face: the engine knows nothing of it. */
  setStage(id: string, stage: LifecycleStage): Promise<ExperimentChange>;
  setTag(id: string, tag: KeyValue): Promise<ExperimentChange>;
  deleteTag(id: string, key: string): Promise<ExperimentChange>;
  /** Adds the tags to experiments that were read elsewhere, such as by a search. */
  withTags(rows: readonly Selectable<ExperimentsTable>[]): Promise<TrackedExperiment[]>;
}

export const artifactRoot = "mlflow-artifacts:/";

export function experimentLocation(row: { experiment_id: string; artifact_location: string | null }): string {
  return row.artifact_location ?? `${artifactRoot}${row.experiment_id}`;
}

export function createExperimentQueries(database: RecordDatabase): ExperimentQueries {
  const { kysely, projectId } = database;

  const withTags: ExperimentQueries["withTags"] = async (rows) => {
    const ids = rows.map((row) => row.experiment_id);
    const tags = new Map<string, KeyValue[]>(ids.map((id) => [id, []]));
    const found =
      ids.length === 0
        ? []
        : await kysely
            .selectFrom("experiment_tags")
            .select(["experiment_id", "key", "value"])
            .where("project_id", "=", projectId)
            .where("experiment_id", "in", ids)
            .orderBy("key")
            .execute();
    for (const { experiment_id, key, value } of found) tags.get(experiment_id)?.push({ key, value });
    return rows.map((row) => ({
      id: row.experiment_id,
      name: row.name,
      artifactLocation: experimentLocation(row),
      lifecycleStage: row.lifecycle_stage as LifecycleStage,
      creationTime: row.creation_time,
      lastUpdateTime: row.last_update_time,
      tags: tags.get(row.experiment_id) ?? [],
    }));
  };

  const find = async (column: "experiment_id" | "name", value: string): Promise<TrackedExperiment | undefined> => {
    const row = await kysely
      .selectFrom("experiments")
      .selectAll()
      .where("project_id", "=", projectId)
      .where(column, "=", value)
      .executeTakeFirst();
    return row === undefined ? undefined : (await withTags([row]))[0];
  };

  /** Runs `work` when the experiment is there; its row stays locked meanwhile. */
  const change = (
    id: string,
    work: (transaction: RecordTransaction, stage: LifecycleStage) => Promise<ExperimentChange>,
  ): Promise<ExperimentChange> =>
    database.transaction(async (transaction) => {
      let query = transaction
        .selectFrom("experiments")
        .select("lifecycle_stage")
        .where("project_id", "=", projectId)
        .where("experiment_id", "=", id);
      if (database.kind === "postgres") query = query.forUpdate();
      const row = await query.executeTakeFirst();
      if (row === undefined) return "missing";
      const outcome = await work(transaction, row.lifecycle_stage as LifecycleStage);
      if (outcome === "changed") await noteTracking(database, transaction, { kind: "experiment", subject: id });
      return outcome;
    });

  const update = (
    transaction: RecordTransaction,
    id: string,
    values: { name?: string; lifecycle_stage?: LifecycleStage },
  ): Promise<unknown> =>
    transaction
      .updateTable("experiments")
      .set({ ...values, last_update_time: database.now })
      .where("project_id", "=", projectId)
      .where("experiment_id", "=", id)
      .execute();

  return {
    create: (experiment) =>
      database.transaction(async (transaction) => {
        const id = await insertExperiment(database, transaction, experiment);
        if (id === undefined) return undefined;
        if (experiment.tags.length > 0) {
          const unique = new Map(experiment.tags.map(({ key, value }) => [key, value]));
          await transaction
            .insertInto("experiment_tags")
            .values([...unique].map(([key, value]) => ({ project_id: projectId, experiment_id: id, key, value })))
            .execute();
        }
        await noteTracking(database, transaction, { kind: "experiment", subject: id });
        return id;
      }),
    get: (id) => find("experiment_id", id),
    byName: (name) => find("name", name),
    rename: (id, name) =>
      change(id, async (transaction, stage) => {
        if (stage !== "active") return "not-active";
        const other = await transaction
          .selectFrom("experiments")
          .select("experiment_id")
          .where("project_id", "=", projectId)
          .where("name", "=", name)
          .executeTakeFirst();
        if (other !== undefined && other.experiment_id !== id) return "name-taken";
        await update(transaction, id, { name });
        return "changed";
      }),
    setStage: (id, stage) =>
      change(id, async (transaction, present) => {
        if (present === stage) return "missing";
        await update(transaction, id, { lifecycle_stage: stage });
        await transaction
          .updateTable("runs")
          .set({ lifecycle_stage: stage, deleted_time: stage === "deleted" ? database.now : null })
          .where("project_id", "=", projectId)
          .where("experiment_id", "=", id)
          .where("lifecycle_stage", "<>", stage)
          .execute();
        return "changed";
      }),
    setTag: (id, { key, value }) =>
      change(id, async (transaction, stage) => {
        if (stage !== "active") return "not-active";
        await transaction
          .insertInto("experiment_tags")
          .values({ project_id: projectId, experiment_id: id, key, value })
          .onConflict((conflict) => conflict.columns(["project_id", "experiment_id", "key"]).doUpdateSet({ value }))
          .execute();
        return "changed";
      }),
    deleteTag: (id, key) =>
      change(id, async (transaction, stage) => {
        if (stage !== "active") return "not-active";
        const deleted = await transaction
          .deleteFrom("experiment_tags")
          .where("project_id", "=", projectId)
          .where("experiment_id", "=", id)
          .where("key", "=", key)
          .returning("key")
          .executeTakeFirst();
        return deleted === undefined ? "no-tag" : "changed";
      }),
    withTags,
  };
}
