import { type FilterGrammar, type KeyGrammar, numberKey } from "./grammar.ts";

/** MLflow's own examples leave the quotes out: `params.lr = 0.01`. */
const written: KeyGrammar = { kind: "written", operators: ["=", "!=", "LIKE", "ILIKE", "IN", "NOT IN"] };
const creationTime: KeyGrammar = { ...numberKey("double"), means: { key: "creation_time" } };
const updateTime: KeyGrammar = { ...numberKey("double"), means: { key: "last_updated_time" } };

/** Searches of logged models. Source: mlflow/utils/search_logged_model_utils.py. */
export const loggedModelGrammar: FilterGrammar = {
  defaultEntity: "attributes",
  entities: [
    {
      name: "attributes",
      keys: {
        model_id: written,
        experiment_id: written,
        name: written,
        artifact_location: written,
        source_run_id: written,
        status: written,
        status_message: written,
        model_type: written,
        lifecycle_stage: written,
        creation_time: creationTime,
        creation_timestamp: creationTime,
        creation_timestamp_ms: creationTime,
        last_updated_timestamp: updateTime,
        last_updated_timestamp_ms: updateTime,
      },
    },
    { name: "metrics", otherKeys: () => numberKey("double") },
    { name: "params", otherKeys: () => written },
    { name: "tags", otherKeys: () => written },
  ],
};

/** What `order_by` may name beside `metrics.<key>`, and the column of each. */
export const loggedModelOrderKeys: Readonly<Record<string, string>> = {
  model_id: "model_id",
  experiment_id: "experiment_id",
  name: "name",
  artifact_location: "artifact_location",
  source_run_id: "source_run_id",
  status: "status",
  status_message: "status_message",
  model_type: "model_type",
  creation_time: "creation_time",
  creation_timestamp: "creation_time",
  creation_timestamp_ms: "creation_time",
  last_updated_timestamp: "last_updated_time",
  last_updated_timestamp_ms: "last_updated_time",
};
