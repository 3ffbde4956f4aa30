import { type FilterGrammar, numberKey, textKey } from "./grammar.ts";

/** Searches of experiments. Source: mlflow/utils/search_utils.py. */
export const experimentGrammar: FilterGrammar = {
  defaultEntity: "attribute",
  entities: [
    {
      name: "attribute",
      aliases: ["attributes"],
      keys: {
        name: textKey("=", "!=", "LIKE", "ILIKE"),
        experiment_id: textKey("=", "!=", "IN", "NOT IN"),
        creation_time: numberKey("integer"),
        last_update_time: numberKey("integer"),
      },
      orderKeys: {
        name: "name",
        experiment_id: "experiment_id",
        creation_time: "creation_time",
        last_update_time: "last_update_time",
      },
    },
    {
      name: "tag",
      aliases: ["tags"],
      otherKeys: () => textKey("=", "!=", "LIKE", "ILIKE", "IS NULL", "IS NOT NULL"),
    },
  ],
};
