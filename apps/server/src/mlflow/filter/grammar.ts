import type { FilterOperator } from "../../db/queries/filtering.ts";

/**
 * What a filter of one kind of search may say, as data. `parseFilter(text, grammar)` and `parseOrder(texts, grammar)` read it:
 *
 * ```ts
 * const modelGrammar: FilterGrammar = {
 *   defaultEntity: "attribute",
 *   entities: [
 *     { name: "attribute", aliases: ["attributes"], keys: { name: textKey("=", "!=", "LIKE", "ILIKE", "IN", "NOT IN") },
 *       orderKeys: { name: "name", timestamp: "last_updated_timestamp" } },
 *     { name: "tag", aliases: ["tags"], otherKeys: () => textKey("=", "!=", "LIKE", "ILIKE") },
 *   ],
 * };
 * ```
 *
 * The parser answers comparisons joined by AND, in the filter's order, with canonical entities and keys.
 */
export interface FilterGrammar {
  /** Whose key a name without a prefix is. */
  defaultEntity: string;
  entities: readonly EntityGrammar[];
}

export interface EntityGrammar {
  /** Canonical; it is also a prefix that filters may write. */
  name: string;
  aliases?: readonly string[];
  /** Keys by name. */
  keys?: Readonly<Record<string, KeyGrammar>>;
  /** The key of a name that `keys` lacks, such as a tag's; undefined refuses it. Without it only `keys` are known. */
  otherKeys?: (key: string) => KeyGrammar | undefined;
  /** What may be ordered by, and the canonical key of each; "any" key, or (left out) none. */
  orderKeys?: Readonly<Record<string, string>> | "any";
}

export interface KeyGrammar {
  /** IN and NOT IN take a list of quoted texts, all others one value of the kind; IS NULL and IS NOT NULL none. */
  operators: readonly FilterOperator[];
  /**
   * text: quoted. written: quoted, or a number, which is a text as it is written. double: any number. integer: a whole one. either: a
   * number beside `> >= < <=` and text beside all else.
   * Whole numbers beyond 2^53 come as bigint.
   */
  kind: "text" | "written" | "double" | "integer" | "either";
  /** An integer that clients also write as a quoted text, such as `version_number = '3'`. */
  mayBeQuoted?: true;
  /** What the key is an alias for; the entity stays unless told. */
  means?: { entity?: string; key: string };
}

const numberOperators = ["=", "!=", ">", ">=", "<", "<="] as const satisfies readonly FilterOperator[];

export function textKey(...operators: readonly FilterOperator[]): KeyGrammar {
  return { kind: "text", operators };
}

export function numberKey(kind: "double" | "integer"): KeyGrammar {
  return { kind, operators: numberOperators };
}
