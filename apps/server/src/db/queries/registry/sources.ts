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
  /** The run, or the logged model, whose id is a segment of the path; whether the path lies in its folder is for the caller to see. */
  runOfPath(path: string): Promise<string | undefined>;
  loggedModelOfPath(path: string): Promise<SourceModel | undefined>;
  /** Whether there is any file below a folder of the artifact proxy. */
  hasFiles(folder: string): Promise<boolean>;
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
    runOfPath: async (path) => {
      const row = await kysely
        .selectFrom("runs")
        .select("run_id")
        .where("project_id", "=", projectId)
        .where("run_id", "in", segmentsOf(path))
        .limit(1)
        .executeTakeFirst();
      return row?.run_id;
    },
    loggedModelOfPath: async (path) =>
      modelOf(await models().where("model_id", "in", segmentsOf(path)).limit(1).executeTakeFirst()),
    hasFiles: async (folder) => {
      const row = await kysely
        .selectFrom("tracked_files")
        .select("path")
        .where("project_id", "=", projectId)
        .where("path", ">", `${folder}/`)
        .where("path", "<", `${folder}0`)
        .limit(1)
        .executeTakeFirst();
      return row !== undefined;
    },
  };
}

/** Ids lie near the root: `<experiment>/<run>/artifacts/...`. */
const segmentsOf = (path: string): string[] => path.split("/").slice(0, 50);

function modelOf(row: Selectable<LoggedModelsTable> | undefined): SourceModel | undefined {
  if (row === undefined) return undefined;
  return {
    id: row.model_id,
    experimentId: row.experiment_id,
    location: row.artifact_location,
    ...present("sourceRunId", row.source_run_id),
  };
}
