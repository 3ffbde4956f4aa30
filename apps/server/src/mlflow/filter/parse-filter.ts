import type { FilterComparison, FilterOperator, FilterValue } from "../../db/queries/filtering.ts";
import type { FilterGrammar, KeyGrammar } from "./grammar.ts";
import { type Identifier, identify, keyOf, list } from "./identifier.ts";
import { readTokens, refuse, type TokenReader } from "./token-reader.ts";
import { longestList, readValue } from "./value.ts";

/** A list of some thousand run ids is a filter that clients really send; what is longer is no filter. */
export const longestFilter = 500_000;
/** Each comparison is a condition of the query. */
export const mostComparisons = 100;

/**
 * Reads a filter in MLflow's language: comparisons joined by AND. Empty or undefined: no comparison. Whatever it is given, it answers
 * or throws INVALID_PARAMETER_VALUE.
 */
export function parseFilter(filter: string | undefined, grammar: FilterGrammar): FilterComparison[] {
  if (filter === undefined || filter === "") return [];
  if (filter.length > longestFilter)
    refuse(`A filter may have ${longestFilter} characters, this one has ${filter.length}`);
  const tokens = readTokens(filter);
  const comparisons: FilterComparison[] = [];
  let listed = 0;
  for (;;) {
    // MLflow's server minds neither a missing nor a superfluous AND.
    while (tokens.takeWords("AND"));
    if (tokens.peek() === undefined) return comparisons;
    if (comparisons.length === mostComparisons) refuse(`A filter may have ${mostComparisons} comparisons`);
    const comparison = readComparison(tokens, grammar);
    // Each is a parameter of the query, of which a database takes some ten thousand.
    if (Array.isArray(comparison.value)) listed += comparison.value.length;
    if (listed > longestList) refuse(`The lists of a filter may have ${longestList} values`);
    comparisons.push(comparison);
  }
}

function readComparison(tokens: TokenReader, grammar: FilterGrammar): FilterComparison {
  const first = tokens.peek()?.value ?? "";
  const written = tokens.takeIdentifier();
  if (written === undefined) {
    const isComparison = tokens.peek()?.kind !== "other" && tokens.peek(1)?.kind === "operator";
    refuse(isComparison ? `Invalid comparison clause. Expected 'Identifier' found '${first}'` : invalidClause(first));
  }
  const operator = takeOperator(tokens) ?? refuse(invalidClause(written));
  const identifier = identify(written, grammar);
  const known = keyOf(identifier);
  if (operator === "IS NULL" || operator === "IS NOT NULL") {
    const canBeMissing = known.operators.includes(operator);
    if (!canBeMissing) refuse(refusedNull(identifier, grammar));
    return comparison(identifier, known, operator, null);
  }
  const value = readValue(tokens, identifier, known, operator);
  if (operator === "IN" || operator === "NOT IN") {
    if (!(known.operators as readonly string[]).includes(operator)) refuse(refusedList(identifier, known, operator));
  }
  if (!(known.operators as readonly string[]).includes(operator)) refuse(refusedOperator(known, operator));
  return comparison(identifier, known, operator as FilterOperator, value);
}

function comparison(
  { entity, key }: Identifier,
  { means }: KeyGrammar,
  operator: FilterOperator,
  value: FilterValue,
): FilterComparison {
  return { entity: means?.entity ?? entity.name, key: means?.key ?? key, operator, value };
}

const wordOperators = [
  ["IS", "NOT", "NULL"],
  ["IS", "NULL"],
  ["NOT", "IN"],
  ["IN"],
  ["NOT", "LIKE"],
  ["NOT", "ILIKE"],
  ["NOT", "RLIKE"],
  ["LIKE"],
  ["ILIKE"],
  ["RLIKE"],
] as const;

/** Also what looks like an operator and is none: the grammar's message then names those that are. */
function takeOperator(tokens: TokenReader): string | undefined {
  if (tokens.peek()?.kind === "operator") return tokens.next()?.value;
  return wordOperators.find((words) => tokens.takeWords(...words))?.join(" ");
}

function invalidClause(text: string): string {
  return `Invalid clause(s) in filter string: '${text.slice(0, 250)}'`;
}

function refusedNull({ entity, key }: Identifier, grammar: FilterGrammar): string {
  const able = grammar.entities.filter((one) => one.otherKeys?.(key)?.operators.includes("IS NULL") === true);
  const names = able.map(({ name }) => `${name === "parameter" ? "param" : name}s`).join(" and ");
  const where = names === "" ? "not supported" : `only supported for ${names}`;
  return `IS NULL / IS NOT NULL is ${where}, not for '${entity.name}' '${key}'`;
}

function refusedList({ entity }: Identifier, known: KeyGrammar, operator: string): string {
  const able = Object.entries(entity.keys ?? {}).filter(([, key]) => key.operators.includes("IN"));
  if (able.length === 0) return refusedOperator(known, operator);
  return `Only ${list(able.map(([name]) => name))} attributes support comparison with a list of quoted string values.`;
}

function refusedOperator({ operators }: KeyGrammar, operator: string): string {
  return `Invalid comparator '${operator.slice(0, 50)}' not one of '{${operators.map((one) => `'${one}'`).join(", ")}}'`;
}
