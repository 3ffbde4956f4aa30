import type { JsonObject } from "@espalier/core";

/** What a monitor says about one window, before it is known whether windows before it crossed as well. */
export interface Judgement {
  outcome: "kept" | "crossed" | "insufficient";
  /** One sentence: which threshold, which value. */
  summary: string;
  rows: number;
  /** The version that served most of the window. */
  served?: string;
  results: JsonObject;
}

export function insufficient(rows: number, summary: string): Judgement {
  return { outcome: "insufficient", summary, rows, results: {} };
}
