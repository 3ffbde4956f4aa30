import { type FilterGrammar, numberKey, textKey } from "./grammar.ts";

const logged = textKey("=", "!=", "LIKE", "ILIKE", "IS NULL", "IS NOT NULL");
const attribute = textKey("=", "!=", "LIKE", "ILIKE");
const listed = textKey("=", "!=", "LIKE", "ILIKE", "IN", "NOT IN");
const startTime = { ...numberKey("double"), means: { key: "start_time" } };
const runName = { ...attribute, means: { key: "run_name" } };

/** Searches of runs. Source: mlflow/utils/search_utils.py. */
export const runGrammar: FilterGrammar = {
  defaultEntity: "attribute",
  entities: [
    { name: "metric", aliases: ["metrics"], otherKeys: () => numberKey("double"), orderKeys: "any" },
    {
      name: "parameter",
      aliases: ["parameters", "param", "params"],
      otherKeys: () => logged,
      orderKeys: "any",
    },
    { name: "tag", aliases: ["tags"], otherKeys: () => logged, orderKeys: "any" },
    {
      name: "attribute",
      aliases: ["attributes", "attr", "run"],
      keys: {
        run_id: listed,
        run_name: attribute,
        user_id: attribute,
        status: attribute,
        artifact_uri: attribute,
        start_time: numberKey("double"),
        end_time: numberKey("double"),
        created: startTime,
        Created: startTime,
        "run name": runName,
        "Run name": runName,
        "Run Name": runName,
      },
      orderKeys: {
        run_id: "run_id",
        run_name: "run_name",
        user_id: "user_id",
        status: "status",
        artifact_uri: "artifact_uri",
        start_time: "start_time",
        end_time: "end_time",
        created: "start_time",
        Created: "start_time",
      },
    },
    { name: "dataset", aliases: ["datasets"], keys: { name: listed, digest: listed, context: listed } },
  ],
};
