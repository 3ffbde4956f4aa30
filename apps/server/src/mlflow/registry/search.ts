import type { ControlPlane } from "../../control-plane.ts";
import type { OrderTerm } from "../../db/queries/filtering.ts";
import type { FilterGrammar } from "../filter/grammar.ts";
import { parseFilter } from "../filter/parse-filter.ts";
import { parseOrder } from "../filter/parse-order.ts";
import { invalidParameter } from "../limits.ts";
import { modelDocument, versionDocument } from "./model-document.ts";
import { modelGrammar, versionGrammar } from "./registry-grammar.ts";

export interface SearchRequest {
  filter: string | undefined;
  maxResults: number | undefined;
  orderBy: readonly string[];
  pageToken: string | undefined;
}

const modelsAPage = { default: 100, most: 1000 };
/** MLflow allows 200,000 at once; a page here ends earlier, with a token, since it lies in memory as a whole. */
const versionsAPage = { default: 10_000, most: 200_000, atOnce: 10_000 };

export async function searchModels({ record }: Pick<ControlPlane, "record">, request: SearchRequest): Promise<object> {
  const limit = limitOf(request.maxResults, modelsAPage);
  const search = searchOf(request, modelGrammar, limit, []);
  const found = await record.registry.search.models(search);
  return page("registered_models", found, search.offset, limit, modelDocument);
}

const newestFirst: OrderTerm[] = [{ entity: "attribute", key: "last_updated_timestamp", ascending: false }];

export async function searchVersions(
  { record }: Pick<ControlPlane, "record">,
  request: SearchRequest,
): Promise<object> {
  const limit = Math.min(limitOf(request.maxResults, versionsAPage), versionsAPage.atOnce);
  const search = searchOf(request, versionGrammar, limit, newestFirst);
  const found = await record.registry.search.versions(search);
  return page("model_versions", found, search.offset, limit, versionDocument);
}

function searchOf(request: SearchRequest, grammar: FilterGrammar, limit: number, otherwise: OrderTerm[]) {
  const order = parseOrder(request.orderBy, grammar);
  return {
    comparisons: parseFilter(request.filter, grammar),
    order: order.length === 0 ? otherwise : order,
    offset: offsetOf(request.pageToken),
    // One more shows whether there is a next page.
    limit: limit + 1,
  };
}

function limitOf(given: number | undefined, { default: usual, most }: { default: number; most: number }): number {
  if (given === undefined) return usual;
  if (given < 1) {
    return invalidParameter(`Invalid value for max_results. It must be a positive integer, but got ${given}`);
  }
  if (given > most) {
    return invalidParameter(
      `Invalid value for request parameter max_results. It must be at most ${most}, but got value ${given}`,
    );
  }
  return given;
}

function page<Row>(
  member: string,
  found: readonly Row[],
  offset: number,
  limit: number,
  document: (row: Row) => object,
): object {
  const shown = found.slice(0, limit);
  return {
    ...(shown.length === 0 ? {} : { [member]: shown.map(document) }),
    ...(found.length > limit ? { next_page_token: tokenOf(offset + limit) } : {}),
  };
}

const tokenOf = (offset: number): string => Buffer.from(JSON.stringify({ offset })).toString("base64");

const greatestOffset = 100_000_000;

function offsetOf(token: string | undefined): number {
  if (token === undefined || token === "") return 0;
  let held: unknown;
  try {
    held = JSON.parse(Buffer.from(token, "base64").toString("utf8"));
  } catch {
    return invalidParameter("Invalid page token, could not base64-decode");
  }
  const offset = typeof held === "object" && held !== null && "offset" in held ? Number(held.offset) : Number.NaN;
  if (Number.isInteger(offset) && offset >= 0 && offset <= greatestOffset) return offset;
  return invalidParameter("Invalid page token, it holds no offset");
}
