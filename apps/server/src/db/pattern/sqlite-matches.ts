import type { DatabaseSync } from "node:sqlite";
import { compilePattern } from "./match-pattern.ts";
import { parsePattern } from "./parse-pattern.ts";

/** SQLite's function for `matches`: (pattern, text) -> 0, 1 or NULL. */
export const matchesFunction = "espalier_matches";
const mostCompiled = 50;

export function addMatches(database: DatabaseSync): void {
  const compiled = new Map<string, (text: string) => boolean>();
  database.function(matchesFunction, { deterministic: true }, (pattern, text) => {
    if (typeof pattern !== "string" || typeof text !== "string") return null;
    let test = compiled.get(pattern);
    if (test === undefined) {
      if (compiled.size >= mostCompiled) compiled.clear();
      test = compilePattern(parsePattern(pattern));
      compiled.set(pattern, test);
    }
    return test(text) ? 1 : 0;
  });
}
