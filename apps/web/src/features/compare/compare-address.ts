import type { HorizontalAxis } from "../../charts/curve-data.ts";

/** What the address of a comparison says: the runs, and how their curves are drawn. */
export interface CompareAddress {
  /** Ids, separated by commas. */
  runs?: string;
  axis?: Exclude<HorizontalAxis, "step">;
  log?: true;
  /** Hundredths: 0 to 99. */
  smooth?: number;
}

/** So many runs the API compares. */
export const mostCompared = 20;
export const curveAxes = ["step", "time", "clock"] as const;

export function readCompareAddress(search: Record<string, unknown>): CompareAddress {
  const ids = comparedIds(search["runs"]);
  const axis = search["axis"] === "time" || search["axis"] === "clock" ? search["axis"] : undefined;
  const smooth = Number(search["smooth"]);
  return {
    ...(ids.length === 0 ? {} : { runs: ids.join(",") }),
    ...(axis === undefined ? {} : { axis }),
    ...(search["log"] === true || search["log"] === "true" ? { log: true as const } : {}),
    ...(Number.isInteger(smooth) && smooth > 0 && smooth < 100 ? { smooth } : {}),
  };
}

/** Each id once, in the order written, no more than can be compared. */
export function comparedIds(runs: unknown): string[] {
  if (typeof runs !== "string") return [];
  const ids = runs.split(",").map((id) => id.trim());
  return [...new Set(ids.filter((id) => /^[\w-]{1,64}$/.test(id)))].slice(0, mostCompared);
}
