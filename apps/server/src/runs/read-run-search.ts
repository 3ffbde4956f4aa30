import { EspalierError } from "@espalier/core";
import type { FilterComparison } from "../db/queries/filtering.ts";
import { pipelineAttributes } from "../db/queries/run-search.ts";
import { type FilterGrammar, textKey } from "../mlflow/filter/grammar.ts";
import { parseFilter } from "../mlflow/filter/parse-filter.ts";
import { runGrammar } from "../mlflow/filter/run-grammar.ts";

const listed = textKey("=", "!=", "LIKE", "ILIKE", "IN", "NOT IN");

/** MLflow's grammar of runs, and what runs of pipelines have besides. */
const grammar: FilterGrammar = {
  ...runGrammar,
  entities: runGrammar.entities.map((entity) =>
    entity.name === "attribute"
      ? {
          ...entity,
          keys: { ...entity.keys, ...Object.fromEntries(Object.keys(pipelineAttributes).map((key) => [key, listed])) },
        }
      : entity,
  ),
};

/** Errors: INVALID_INPUT at `search`, in the words of MLflow's server, with what can be written instead. */
export function readRunSearch(text: string): FilterComparison[] {
  try {
    return parseFilter(text, grammar);
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    throw new EspalierError("INVALID_INPUT", error.message, {
      cause: error,
      at: "search",
      hint: "Comparisons joined by AND: metrics.auc > 0.9, params.depth = '4', tags.team = 'vines', state = 'failed', pipeline LIKE 'train%'.",
    });
  }
}
