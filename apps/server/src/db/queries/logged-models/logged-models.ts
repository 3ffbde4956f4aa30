import { randomUUID } from "node:crypto";
import { EspalierError } from "@espalier/core";
import { sql } from "kysely";
import type { RecordDatabase, RecordTransaction } from "../../database.ts";
import { noteTracking } from "../../mirror-changes.ts";
import { experimentLocation, type KeyValue } from "../tracking/experiments.ts";
import { type LoggedModel, type LoggedModelStatus, withLogged } from "./rows.ts";
import { type LoggedModelSearch, searchLoggedModels } from "./search.ts";

export interface NewLoggedModel {
  experimentId: string;
  name: string;
  sourceRunId?: string | undefined;
  modelType?: string | undefined;
  /** Of each key one, as `tags`. */
  params: readonly KeyValue[];
  tags: readonly KeyValue[];
}

export type NewLoggedModelOutcome =
  | { kind: "created"; model: LoggedModel }
  | { kind: "no-experiment" }
  | { kind: "deleted-experiment" };

/** Models as MLflow 3 logs them. */
export interface LoggedModelQueries {
  create(model: NewLoggedModel): Promise<NewLoggedModelOutcome>;
  /** Deleted ones too. */
  get(id: string): Promise<LoggedModel | undefined>;
  /** undefined: there is no such model. */
  experimentOf(id: string): Promise<string | undefined>;
  /** undefined: there is no such model, or it is deleted. */
  finalize(id: string, status: LoggedModelStatus): Promise<LoggedModel | undefined>;
  /** Idempotent; false: there is no such model. */
  delete(id: string): Promise<boolean>;
  setTags(id: string, tags: readonly KeyValue[]): Promise<void>;
  /** false: there was no such tag. */
  deleteTag(id: string, key: string): Promise<boolean>;
  /** All or none: a parameter keeps its first value. The one that has another value already is answered. */
  logParams(id: string, params: readonly KeyValue[]): Promise<{ key: string; stored: string } | undefined>;
  /** Newest first unless told otherwise. `more`: others follow. */
  search(search: LoggedModelSearch): Promise<{ models: LoggedModel[]; more: boolean }>;
}

export function createLoggedModelQueries(database: RecordDatabase): LoggedModelQueries {
  const { kysely, projectId } = database;

  const read = async (source: Pick<RecordTransaction, "selectFrom">, id: string): Promise<LoggedModel | undefined> => {
    const row = await source
      .selectFrom("logged_models")
      .selectAll()
      .where("project_id", "=", projectId)
      .where("model_id", "=", id)
      .executeTakeFirst();
    return row === undefined ? undefined : (await withLogged(database, source, [row]))[0];
  };

  const insert = async (
    transaction: RecordTransaction,
    table: "logged_model_params" | "logged_model_tags",
    id: string,
    pairs: readonly KeyValue[],
  ): Promise<void> => {
    if (pairs.length === 0) return;
    const statement = transaction
      .insertInto(table)
      .values(pairs.map(({ key, value }) => ({ project_id: projectId, model_id: id, key, value })));
    await (table === "logged_model_params"
      ? statement.onConflict((conflict) => conflict.doNothing())
      : statement.onConflict((conflict) =>
          conflict
            .columns(["project_id", "model_id", "key"])
            .doUpdateSet((columns) => ({ value: columns.ref("excluded.value") })),
        )
    ).execute();
  };

  return {
    create: (model) =>
      database.transaction(async (transaction): Promise<NewLoggedModelOutcome> => {
        const experiment = await transaction
          .selectFrom("experiments")
          .select(["experiment_id", "artifact_location", "lifecycle_stage"])
          .where("project_id", "=", projectId)
          .where("experiment_id", "=", model.experimentId)
          .executeTakeFirst();
        if (experiment === undefined) return { kind: "no-experiment" };
        if (experiment.lifecycle_stage !== "active") return { kind: "deleted-experiment" };
        const id = `m-${randomUUID().replaceAll("-", "")}`;
        await transaction
          .insertInto("logged_models")
          .values({
            project_id: projectId,
            model_id: id,
            experiment_id: model.experimentId,
            name: model.name,
            artifact_location: `${experimentLocation(experiment)}/models/${id}/artifacts`,
            source_run_id: model.sourceRunId ?? null,
            status: "PENDING",
            model_type: model.modelType ?? null,
            lifecycle_stage: "active",
            creation_time: database.now,
            last_updated_time: database.now,
          })
          .execute();
        await insert(transaction, "logged_model_params", id, model.params);
        await insert(transaction, "logged_model_tags", id, model.tags);
        const created = await read(transaction, id);
        if (created === undefined) throw new EspalierError("INTERNAL", `The logged model ${id} was not made`);
        return { kind: "created", model: created };
      }),
    search: (search) => searchLoggedModels(database, search),
    get: (id) => read(kysely, id),
    experimentOf: async (id) => {
      const row = await kysely
        .selectFrom("logged_models")
        .select("experiment_id")
        .where("project_id", "=", projectId)
        .where("model_id", "=", id)
        .executeTakeFirst();
      return row?.experiment_id;
    },
    finalize: (id, status) =>
      database.transaction(async (transaction) => {
        const changed = await transaction
          .updateTable("logged_models")
          .set({ status, last_updated_time: database.now })
          .where("project_id", "=", projectId)
          .where("model_id", "=", id)
          .where("lifecycle_stage", "=", "active")
          .returning("model_id")
          .executeTakeFirst();
        if (changed === undefined) return undefined;
        await noteTracking(database, transaction, { kind: "logged-model", subject: id });
        return read(transaction, id);
      }),
    delete: async (id) => {
      const changed = await kysely
        .updateTable("logged_models")
        .set({
          lifecycle_stage: "deleted",
          last_updated_time: sql<number>`CASE WHEN lifecycle_stage = 'deleted' THEN last_updated_time ELSE ${database.now} END`,
        })
        .where("project_id", "=", projectId)
        .where("model_id", "=", id)
        .returning("model_id")
        .executeTakeFirst();
      return changed !== undefined;
    },
    setTags: (id, tags) =>
      database.transaction(async (transaction) => {
        await insert(transaction, "logged_model_tags", id, tags);
        await noteTracking(database, transaction, { kind: "logged-model", subject: id });
      }),
    deleteTag: async (id, key) => {
      const deleted = await kysely
        .deleteFrom("logged_model_tags")
        .where("project_id", "=", projectId)
        .where("model_id", "=", id)
        .where("key", "=", key)
        .returning("key")
        .executeTakeFirst();
      return deleted !== undefined;
    },
    logParams: (id, params) =>
      database.transaction(async (transaction) => {
        if (params.length === 0) return undefined;
        // Others wait, so that none of them logs another value between the look and the insert.
        if (database.kind === "postgres") {
          await transaction
            .selectFrom("logged_models")
            .select("model_id")
            .where("project_id", "=", projectId)
            .where("model_id", "=", id)
            .forNoKeyUpdate()
            .execute();
        }
        const known = await transaction
          .selectFrom("logged_model_params")
          .select(["key", "value"])
          .where("project_id", "=", projectId)
          .where("model_id", "=", id)
          .where(
            "key",
            "in",
            params.map(({ key }) => key),
          )
          .execute();
        const stored = new Map(known.map(({ key, value }) => [key, value]));
        for (const { key, value } of params) {
          const present = stored.get(key);
          if (present !== undefined && present !== value) return { key, stored: present };
        }
        await insert(transaction, "logged_model_params", id, params);
        await noteTracking(database, transaction, { kind: "logged-model", subject: id });
        return undefined;
      }),
  };
}
