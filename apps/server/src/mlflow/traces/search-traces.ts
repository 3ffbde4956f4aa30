import type { FilterComparison, OrderTerm } from "../../db/queries/filtering.ts";
import type { TracePlace, TraceSearch } from "../../db/queries/traces/search.ts";
import { type Fields, optionalCount, optionalText, textList } from "../fields.ts";
import { parseFilter } from "../filter/parse-filter.ts";
import { parseOrder } from "../filter/parse-order.ts";
import { traceGrammar } from "../filter/trace-grammar.ts";
import { invalidParameter, invalidValue } from "../limits.ts";

const largestPage = 500;
const defaultPage = 100;

export function readTraceSearch(fields: Fields, experimentIds: readonly string[]): TraceSearch {
  const limit = optionalCount(fields, "max_results") ?? defaultPage;
  if (limit > largestPage) invalidValue("max_results", limit, `It must be at most ${largestPage}`);
  if (limit < 1) {
    invalidParameter(`Invalid value ${limit} for parameter 'max_results' supplied. It must be a positive integer`);
  }
  const order = parseOrder(textList(fields, "order_by"), traceGrammar).map(orderElsewhere);
  const keys = order.map(({ entity, key }) => `${entity}.${key}`);
  if (new Set(keys).size < keys.length) invalidParameter("`order_by` contains duplicate fields");
  return {
    experimentIds: [...new Set(experimentIds)],
    comparisons: traceComparisons(optionalText(fields, "filter")),
    order,
    limit,
    after: readToken(optionalText(fields, "page_token"), order.length > 0),
  };
}

export function traceComparisons(filter: string | undefined): FilterComparison[] {
  return parseFilter(filter, traceGrammar).map((comparison) => {
    const { entity, key, value } = comparison;
    if (entity === "prompt" && String(value).split("/").length !== 2) {
      invalidParameter(`Invalid prompts filter value '${value}'. Expected format: prompt = "name/version"`);
    }
    // The name of an attribute may be quoted by itself: span.attributes.`my key`.
    const quoted = /^attributes\.`(.+)`$/s.exec(key);
    return entity === "span" && quoted !== null ? { ...comparison, key: `attributes.${quoted[1]}` } : comparison;
  });
}

const elsewhere: Readonly<Record<string, Omit<OrderTerm, "ascending">>> = {
  name: { entity: "tag", key: "mlflow.traceName" },
  run_id: { entity: "request_metadata", key: "mlflow.sourceRun" },
};

function orderElsewhere(term: OrderTerm): OrderTerm {
  const means = term.entity === "attribute" ? elsewhere[term.key] : undefined;
  return means === undefined ? term : { ...means, ascending: term.ascending };
}

/** Opaque to clients. */
export function writeToken(place: TracePlace): string {
  return Buffer.from(JSON.stringify(place)).toString("base64");
}

function readToken(token: string | undefined, hasOrder: boolean): TracePlace | undefined {
  if (token === undefined || token === "") return undefined;
  try {
    const value: unknown = JSON.parse(Buffer.from(token, "base64").toString());
    if (typeof value === "object" && value !== null) {
      const { offset, requestTime, id } = value as Record<string, unknown>;
      if (hasOrder && isCount(offset)) return { offset };
      if (!hasOrder && Number.isSafeInteger(requestTime) && typeof id === "string" && !id.includes("\0")) {
        return { requestTime: requestTime as number, id };
      }
    }
  } catch {
    // What does not parse is no token of ours, and is told so below.
  }
  return invalidParameter("Invalid page token, could not base64-decode");
}

function isCount(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}
