import { EspalierError } from "@espalier/core";
import { type RawBuilder, sql } from "kysely";
import type { RecordDatabase } from "../database.ts";
import { compilePattern } from "./match-pattern.ts";
import { type Pattern, PatternError, parsePattern } from "./parse-pattern.ts";
import { postgresPattern } from "./postgres-pattern.ts";
import { matchesFunction } from "./sqlite-matches.ts";

/** Whether the column's text holds the pattern, the same on both databases. Only for readers. INVALID_INPUT: see `parsePattern`. */
export function matches(
  { kind }: Pick<RecordDatabase, "kind">,
  column: RawBuilder<string>,
  pattern: string,
): RawBuilder<boolean> {
  const parsed = checkPattern(pattern);
  if (kind === "postgres") return sql<boolean>`${column} ~ ${postgresPattern(parsed)}`;
  return sql<boolean>`${sql.raw(matchesFunction)}(${pattern}, ${column}) = 1`;
}

function checkPattern(text: string): Pattern {
  try {
    const pattern = parsePattern(text);
    // Refuses what would repeat too much, before a reader meets it.
    compilePattern(pattern);
    return pattern;
  } catch (error) {
    if (error instanceof PatternError) throw new EspalierError("INVALID_INPUT", error.message, { cause: error });
    throw error;
  }
}
