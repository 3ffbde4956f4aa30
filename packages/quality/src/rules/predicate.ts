import { identifier, literal } from "../sql-text.ts";
import type { Rule } from "./schema.ts";

/** Rules that hold or fail row by row. */
export type RowRule = Extract<
  Rule,
  { rule: "not_null" | "unique" | "in_set" | "range" | "matches" | "length" | "compare" | "references" | "sql" }
>;

export function isRowRule(rule: Rule): rule is RowRule {
  if (rule.rule === "sql") return rule.predicate !== undefined;
  return !["schema", "row_count", "aggregate", "freshness"].includes(rule.rule);
}

export const rowNumberColumn = "__espalier_row";

const formats = {
  date: (text: string) => `try_cast(${text} AS DATE) IS NOT NULL`,
  timestamp: (text: string) => `try_cast(${text} AS TIMESTAMP) IS NOT NULL`,
  uuid: (text: string) => `try_cast(${text} AS UUID) IS NOT NULL`,
  integer: (text: string) => `try_cast(${text} AS HUGEINT) IS NOT NULL AND NOT contains(${text}, '.')`,
  number: (text: string) => `try_cast(${text} AS DOUBLE) IS NOT NULL`,
  email: (text: string) => `regexp_full_match(${text}, '[^@\\s]+@[^@\\s]+\\.[^@\\s]+')`,
} as const;

/** A SQL condition that is true where the row keeps the rule. It may be NULL; `holds` decides that. */
function condition(rule: RowRule, types: ReadonlyMap<string, string>): string {
  switch (rule.rule) {
    case "not_null":
      return isFloat(types.get(rule.column))
        ? `${identifier(rule.column)} IS NOT NULL AND NOT isnan(${identifier(rule.column)})`
        : `${identifier(rule.column)} IS NOT NULL`;
    case "in_set":
      return `${identifier(rule.column)} IN (${rule.values.map(literal).join(", ")})`;
    case "range":
      return withoutNan(rule.column, types, limits(identifier(rule.column), rule, types.get(rule.column)));
    case "matches": {
      const text = `CAST(${identifier(rule.column)} AS VARCHAR)`;
      return rule.format === undefined
        ? `regexp_full_match(${text}, ${literal(rule.pattern ?? "")})`
        : `CASE WHEN ${text} IS NOT NULL THEN ${formats[rule.format](text)} END`;
    }
    case "length":
      return limits(`length(CAST(${identifier(rule.column)} AS VARCHAR))`, { ...rule, strict: false }, "BIGINT");
    case "compare":
      return `${identifier(rule.left)} ${rule.op} ${identifier(rule.right)}`;
    case "references":
      return `CASE WHEN ${identifier(rule.column)} IS NOT NULL THEN ${identifier(rule.column)} IN (SELECT ${identifier(rule.table_column)} FROM ${identifier(rule.table)} WHERE ${identifier(rule.table_column)} IS NOT NULL) END`;
    case "unique": {
      const keys = rule.columns.map(identifier);
      const first = `row_number() OVER (PARTITION BY ${keys.join(", ")} ORDER BY ${identifier(rowNumberColumn)}) = 1`;
      return `CASE WHEN ${keys.map((key) => `${key} IS NOT NULL`).join(" AND ")} THEN ${first} END`;
    }
    case "sql":
      return `(${rule.predicate})`;
  }
}

/**
 * A condition that is never NULL. Trap avoided: `NOT (NULL > 1)` is NULL, so a filter for failures passes it silently.
 * Values that are missing are the business of `not_null`, hence `pass`; a free predicate that can not be decided fails.
 */
export function holds(rule: RowRule, types: ReadonlyMap<string, string>): string {
  return `coalesce(${condition(rule, types)}, ${nullsPass(rule)})`;
}

/** A condition for WHERE that is true exactly where `holds` is false; in a form that DuckDB can prove from statistics. */
export function fails(rule: RowRule, types: ReadonlyMap<string, string>): string {
  return nullsPass(rule) ? `NOT (${condition(rule, types)})` : `(${condition(rule, types)}) IS NOT TRUE`;
}

function nullsPass(rule: RowRule): boolean {
  return (rule.nulls ?? (rule.rule === "sql" ? "fail" : "pass")) === "pass";
}

/** Rows that the rule looks at; a NULL filter means no. */
export function inScope(rule: RowRule): string {
  return rule.where === undefined ? "true" : `coalesce((${rule.where}), false)`;
}

export function ruleColumns(rule: Rule): string[] {
  switch (rule.rule) {
    case "schema":
      return Object.keys(rule.columns);
    case "unique":
      return rule.columns;
    case "compare":
      return [rule.left, rule.right];
    case "row_count":
    case "sql":
      return [];
    default:
      return [rule.column];
  }
}

function limits(
  value: string,
  rule: { min?: number | string | undefined; max?: number | string | undefined; strict: boolean },
  type: string | undefined,
): string {
  const parts: string[] = [];
  if (rule.min !== undefined) parts.push(`${value} ${rule.strict ? ">" : ">="} ${typedLiteral(rule.min, type)}`);
  if (rule.max !== undefined) parts.push(`${value} ${rule.strict ? "<" : "<="} ${typedLiteral(rule.max, type)}`);
  return parts.join(" AND ");
}

function typedLiteral(value: number | string, type: string | undefined): string {
  const text = literal(value);
  return typeof value === "string" && type !== undefined && /^(DATE|TIME)/.test(type)
    ? `CAST(${text} AS ${type})`
    : text;
}

/**
 * In DuckDB NaN is above every number, so that `x >= 0` would let it pass. It must be asked for by name: Parquet writers leave NaN out of
 * a column's statistics, and DuckDB takes `x > 1000` for false where they say so (1.5.6, files of pyarrow).
 */
function withoutNan(column: string, types: ReadonlyMap<string, string>, test: string): string {
  return isFloat(types.get(column)) ? `(${test}) AND NOT isnan(${identifier(column)})` : test;
}

function isFloat(type: string | undefined): boolean {
  return type === "DOUBLE" || type === "FLOAT";
}
