import type { Selectable } from "kysely";
import type { RecordDatabase } from "../../database.ts";
import { present } from "../../json.ts";
import type { LoggedModelsTable } from "../../schema/logged-models.ts";

export interface SourceModel {
  id: string;
  experimentId: string;
  /** An address of the artifact proxy. */
  location: string;
  sourceRunId?: string;
}

/** What a version can be made from. Deleted logged models are none. */
export interface SourceQueries {
  loggedModel(id: string): Promise<SourceModel | undefined>;
  /** The newest that the run logged under the name. */
  loggedModelOfRun(runId: string, name: string): Promise<SourceModel | undefined>;
}

export function createSourceQueries({ kysely, projectId }: RecordDatabase): SourceQueries {
  const models = () =>
    kysely
      .selectFrom("logged_models")
      .selectAll()
      .where("project_id", "=", projectId)
      .where("lifecycle_stage", "<>", "deleted");
  return {
    loggedModel: async (id) => modelOf(await models().where("model_id", "=", id).executeTakeFirst()),
    loggedModelOfRun: async (runId, name) =>
      modelOf(
        await models()
          .where("source_run_id", "=", runId)
          .where("name", "=", name)
          .orderBy("creation_time", "desc")
          .orderBy("model_id", "desc")
          .limit(1)
          .executeTakeFirst(),
      ),
  };
}

function modelOf(row: Selectable<LoggedModelsTable> | undefined): SourceModel | undefined {
  if (row === undefined) return undefined;
  return {
    id: row.model_id,
    experimentId: row.experiment_id,
    location: row.artifact_location,
    ...present("sourceRunId", row.source_run_id),
  };
}
