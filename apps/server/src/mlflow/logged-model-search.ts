import type { FilterComparison } from "../db/queries/filtering.ts";
import type { LoggedModelStatus } from "../db/queries/logged-models/rows.ts";
import type { DatasetOfMetrics, LoggedModelOrder, LoggedModelSearch } from "../db/queries/logged-models/search.ts";
import { type Fields, fieldsList, missing, optionalBoolean, optionalCount, optionalText, textList } from "./fields.ts";
import { loggedModelGrammar, loggedModelOrderKeys } from "./filter/logged-model-grammar.ts";
import { parseFilter } from "./filter/parse-filter.ts";
import { invalidParameter } from "./limits.ts";
import { loggedModelStatuses } from "./logged-model-document.ts";
import { experimentIdOf } from "./tracked.ts";

const defaultPage = 100;
const largestPage = 1000;
const mostOrders = 20;
const mostDatasets = 100;

/** One page of a search; a token keeps what was asked, and is refused beside another question. */
export interface LoggedModelQuestion {
  search: LoggedModelSearch;
  nextToken(): string;
}

export function readLoggedModelSearch(fields: Fields): LoggedModelQuestion {
  const given = textList(fields, "experiment_ids");
  if (given.length === 0) missing("experiment_ids");
  const filter = optionalText(fields, "filter") || null;
  const orders = fieldsList(fields, "order_by").map(orderOf);
  const datasets = fieldsList(fields, "datasets").map(datasetOf);
  if (orders.length > mostOrders) invalidParameter(`\`order_by\` may have ${mostOrders} fields`);
  if (datasets.length > mostDatasets) invalidParameter(`\`datasets\` may have ${mostDatasets} members`);
  const question = { experiment_ids: given, filter_string: filter, order_by: orders.length === 0 ? null : orders };
  const token = optionalText(fields, "page_token");
  const offset = token ? offsetOf(token, question) : 0;
  const limit = limitOf(fields);
  return {
    search: {
      experimentIds: [...new Set(given.map(experimentIdOf))],
      comparisons: parseFilter(filter ?? undefined, loggedModelGrammar).map(withOurStatus),
      datasets,
      order: orders.map(termOf),
      limit,
      offset,
    },
    nextToken: () => Buffer.from(JSON.stringify({ ...question, offset: offset + limit })).toString("base64"),
  };
}

function limitOf(fields: Fields): number {
  const limit = optionalCount(fields, "max_results") || defaultPage;
  if (limit < 0) {
    invalidParameter(`Invalid value ${limit} for parameter 'max_results' supplied. It must be a positive integer`);
  }
  // Clients follow the token: a page smaller than they wished loses nothing.
  return Math.min(limit, largestPage);
}

interface Order {
  field_name: string;
  ascending: boolean;
  dataset_name: string | null;
  dataset_digest: string | null;
}

function orderOf(fields: Fields): Order {
  return {
    field_name: optionalText(fields, "field_name") ?? "",
    ascending: optionalBoolean(fields, "ascending") ?? true,
    dataset_name: optionalText(fields, "dataset_name") || null,
    dataset_digest: optionalText(fields, "dataset_digest") || null,
  };
}

function termOf({ field_name: name, ascending, dataset_name, dataset_digest }: Order): LoggedModelOrder {
  const dot = name.indexOf(".");
  if (dot === -1) {
    const column = Object.hasOwn(loggedModelOrderKeys, name) ? loggedModelOrderKeys[name] : undefined;
    return { ascending, column: column ?? invalidParameter(`Invalid order by field name: ${name.slice(0, 250)}`) };
  }
  if (name.slice(0, dot) !== "metrics") {
    invalidParameter(`Invalid order by field name: ${name.slice(0, 250)}. Only metrics are supported.`);
  }
  return {
    ascending,
    metric: name.slice(dot + 1),
    datasetName: dataset_name ?? undefined,
    datasetDigest: dataset_digest ?? undefined,
  };
}

function datasetOf(fields: Fields): DatasetOfMetrics {
  const name =
    optionalText(fields, "dataset_name") ||
    invalidParameter("`dataset_name` in the `datasets` clause must be specified.");
  return { name, digest: optionalText(fields, "dataset_digest") || undefined };
}

/** A status may be written as on the wire, as its number, or as the client shows it. */
function withOurStatus(comparison: FilterComparison): FilterComparison {
  const { key, value } = comparison;
  if (comparison.entity !== "attributes" || key !== "status" || value === null) return comparison;
  const ours = (text: string): LoggedModelStatus | string =>
    loggedModelStatuses.find(([, name], index) => text === name || text === String(index))?.[0] ?? text;
  return { ...comparison, value: Array.isArray(value) ? value.map(ours) : ours(String(value)) };
}

interface Question {
  experiment_ids: string[];
  filter_string: string | null;
  order_by: Order[] | null;
}

const names = {
  experiment_ids: ["Experiment IDs", "experiment IDs"],
  filter_string: ["Filter string", "filter string"],
  order_by: ["Order by", "order by"],
} as const;

function offsetOf(token: string, question: Question): number {
  const kept = readToken(token);
  for (const name of ["experiment_ids", "filter_string", "order_by"] as const) {
    const [expected, found] = [JSON.stringify(question[name]), JSON.stringify(kept[name] ?? null)];
    if (expected === found) continue;
    const [first, second] = names[name];
    invalidParameter(
      `${first} in the page token do${name === "experiment_ids" ? "" : "es"} not match the requested ${second}. Expected: ${expected.slice(0, 500)}. Found: ${found.slice(0, 500)}`,
    );
  }
  const { offset } = kept;
  return typeof offset === "number" && Number.isSafeInteger(offset) && offset >= 0 ? offset : badToken(token);
}

function readToken(token: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(Buffer.from(token, "base64").toString());
    if (typeof value === "object" && value !== null) return value as Readonly<Record<string, unknown>>;
  } catch {
    // What does not parse is no token of ours, and is told so below.
  }
  return badToken(token);
}

function badToken(token: string): never {
  return invalidParameter(`Invalid page token: ${token.slice(0, 200)}`);
}
