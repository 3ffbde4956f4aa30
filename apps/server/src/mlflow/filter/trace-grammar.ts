import { type FilterGrammar, type KeyGrammar, numberKey, textKey } from "./grammar.ts";

const text = textKey("=", "!=", "LIKE", "ILIKE", "RLIKE", "IN", "NOT IN");
const pair = textKey("=", "!=", "LIKE", "ILIKE", "RLIKE", "IS NULL", "IS NOT NULL");
const content: KeyGrammar = { ...textKey("LIKE", "ILIKE"), means: { entity: "span", key: "content" } };
const time = { ...numberKey("integer"), means: { key: "timestamp_ms" } };
const duration = { ...numberKey("integer"), means: { key: "execution_time_ms" } };
const end = { ...numberKey("integer"), means: { key: "end_time_ms" } };
const assessed: KeyGrammar = {
  kind: "either",
  operators: ["=", "!=", ">", ">=", "<", "<=", "LIKE", "ILIKE", "RLIKE", "IS NULL", "IS NOT NULL"],
};

/** Names that are kept as a tag, as metadata or with the spans. */
const elsewhere = {
  name: { ...pair, means: { entity: "tag", key: "mlflow.traceName" } },
  run_id: { ...pair, means: { entity: "request_metadata", key: "mlflow.sourceRun" } },
  prompt: { ...textKey("="), means: { entity: "prompt", key: "prompt" } },
  text: content,
};

/** Searches of traces. Source: mlflow/utils/search_utils.py. */
export const traceGrammar: FilterGrammar = {
  defaultEntity: "attribute",
  entities: [
    {
      name: "attribute",
      aliases: ["attributes", "trace"],
      keys: {
        request_id: text,
        status: text,
        client_request_id: text,
        timestamp: time,
        timestamp_ms: time,
        execution_time: duration,
        execution_time_ms: duration,
        end_time: end,
        end_time_ms: end,
        ...elsewhere,
      },
      orderKeys: {
        experiment_id: "experiment_id",
        timestamp: "timestamp_ms",
        timestamp_ms: "timestamp_ms",
        execution_time: "execution_time_ms",
        execution_time_ms: "execution_time_ms",
        end_time: "end_time_ms",
        end_time_ms: "end_time_ms",
        status: "status",
        request_id: "request_id",
        name: "name",
        run_id: "run_id",
      },
    },
    { name: "tag", aliases: ["tags"], otherKeys: () => pair, orderKeys: "any" },
    { name: "request_metadata", aliases: ["metadata"], otherKeys: () => pair, orderKeys: "any" },
    {
      name: "span",
      keys: { name: text, type: text, status: text, content },
      otherKeys: (key) => (/^attributes\../s.test(key) ? text : undefined),
    },
    { name: "feedback", otherKeys: (key) => (key === "" ? undefined : assessed) },
    { name: "expectation", otherKeys: (key) => (key === "" ? undefined : assessed) },
    { name: "issue", keys: { id: textKey("=") } },
  ],
};
