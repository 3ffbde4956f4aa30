import type { LifecycleStage } from "../db/queries/tracking/experiments.ts";
import type { SearchPage } from "../db/queries/tracking/searches.ts";
import { type Fields, invalid, optionalCount, optionalText } from "./fields.ts";
import { invalidParameter } from "./limits.ts";

const usualResults = 1000;
const mostResults = 50_000;

/** `max_results` and `page_token` of a search of runs or experiments. */
export function pageOf(fields: Fields): SearchPage {
  const limit = optionalCount(fields, "max_results") ?? usualResults;
  if (limit < 1) {
    invalidParameter(`Invalid value ${limit} for parameter 'max_results' supplied. It must be a positive integer`);
  }
  if (limit > mostResults) {
    invalidParameter(`Invalid value ${limit} for parameter 'max_results' supplied. It must be at most ${mostResults}`);
  }
  return { limit, cursor: optionalText(fields, "page_token") || undefined };
}

const views: Readonly<Record<string, readonly LifecycleStage[]>> = {
  ACTIVE_ONLY: ["active"],
  DELETED_ONLY: ["deleted"],
  ALL: ["active", "deleted"],
};
const numbered = ["", "ACTIVE_ONLY", "DELETED_ONLY", "ALL"];

/** A view by its name, or by its number in the protocol; what is active when it is left out. */
export function stagesOf(fields: Fields, name: string): readonly LifecycleStage[] {
  const given = fields[name] ?? "ACTIVE_ONLY";
  const view = numbered[Number(given)] ?? String(given);
  const stages = Object.hasOwn(views, view) ? views[view] : undefined;
  return stages ?? invalid(name, given);
}
