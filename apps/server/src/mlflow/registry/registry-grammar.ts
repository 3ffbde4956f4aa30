import { type FilterGrammar, numberKey, textKey } from "../filter/grammar.ts";

const text = textKey("=", "!=", "LIKE", "ILIKE");
const listed = textKey("=", "!=", "LIKE", "ILIKE", "IN", "NOT IN");
const tags = { name: "tag", aliases: ["tags"], otherKeys: () => text };
const updated = { last_updated_timestamp: "last_updated_timestamp" };

/** Searches of registered models. Source: mlflow/utils/search_utils.py. */
export const modelGrammar: FilterGrammar = {
  defaultEntity: "attribute",
  entities: [
    {
      name: "attribute",
      keys: { name: listed },
      orderKeys: { name: "name", timestamp: "last_updated_timestamp", ...updated },
    },
    tags,
  ],
};

/** Searches of model versions. */
export const versionGrammar: FilterGrammar = {
  defaultEntity: "attribute",
  entities: [
    {
      name: "attribute",
      keys: {
        name: listed,
        run_id: listed,
        source_path: text,
        version_number: { ...numberKey("integer"), mayBeQuoted: true },
      },
      orderKeys: {
        name: "name",
        version_number: "version_number",
        creation_timestamp: "creation_timestamp",
        ...updated,
      },
    },
    tags,
  ],
};
