import { EspalierError } from "@espalier/core";
import { identifier, literal } from "../sql-text.ts";
import { ruleName } from "./describe.ts";
import { holds, inScope, type RowRule, rowNumberColumn, ruleColumns } from "./predicate.ts";
import type { Rule } from "./schema.ts";
import { observedSql, type TableColumn } from "./table-checks.ts";

export type Query = string;

/** Everything that a set of rules asks of a table, as SQL. `data` is the relation's name; it has the column `rowNumberColumn`, from 1. */
export interface CompiledRules {
  /** One SELECT, one row: `rows`, and for the rule of index i `c<i>` checked, `f<i>` failed or `o<i>` observed. */
  summary: Query;
  /** Rules that need a GROUP BY or a query of their own: each gives one row with `checked` and `failed`. */
  separate: ReadonlyMap<number, Query>;
  /** Sample of failing rows of a row rule or a query rule, asked only when it failed. */
  sample(index: number, limit: number): Query | undefined;
  /** Splits the rows by the quarantine rules; undefined when there are none. */
  split: { valid: Query; quarantined: Query } | undefined;
}

export function compileRules(rules: readonly Rule[], columns: readonly TableColumn[], data = "data"): CompiledRules {
  checkColumns(rules, columns);
  const types = new Map(columns.map((column) => [column.name, column.type]));
  const select: string[] = ["count(*) AS rows"];
  const separate = new Map<number, Query>();
  for (const [index, rule] of rules.entries()) {
    if (rule.rule === "aggregate" || rule.rule === "row_count" || rule.rule === "freshness") {
      select.push(`${observedSql(rule)} AS o${index}`);
    } else if (rule.rule === "unique") {
      separate.set(index, uniqueSummary(rule, types, data));
    } else if (rule.rule === "sql" && rule.query !== undefined) {
      separate.set(index, `SELECT count(*) AS checked, count(*) AS failed FROM (${rule.query})`);
    } else if (rule.rule === "references") {
      // A subquery does not fit into an aggregate's filter.
      separate.set(
        index,
        `SELECT ${counts(rule, types, "checked", "failed")} FROM (${referencesBase(rule, types, data)})`,
      );
    } else if (isRowRule(rule)) {
      select.push(counts(rule, types, `c${index}`, `f${index}`));
    }
  }
  return {
    summary: `SELECT ${select.join(", ")} FROM ${identifier(data)}`,
    separate,
    sample: (index, limit) => sampleQuery(rules[index], types, data, limit),
    split: splitQueries(rules, types, data),
  };
}

export function isRowRule(rule: Rule): rule is RowRule {
  if (rule.rule === "sql") return rule.predicate !== undefined;
  return !["schema", "row_count", "aggregate", "freshness"].includes(rule.rule);
}

function counts(rule: RowRule, types: ReadonlyMap<string, string>, checked: string, failed: string): string {
  if (rule.rule === "references") return `count(*) AS ${checked}, count(*) FILTER (WHERE NOT ok) AS ${failed}`;
  const scope = inScope(rule);
  return `count(*) FILTER (WHERE ${scope}) AS ${checked}, count(*) FILTER (WHERE ${scope} AND NOT ${holds(rule, types)}) AS ${failed}`;
}

function referencesBase(rule: RowRule, types: ReadonlyMap<string, string>, data: string): Query {
  return `SELECT ${holds(rule, types)} AS ok FROM ${identifier(data)} WHERE ${inScope(rule)}`;
}

/** Failed rows are those beyond the first of each key: what would have to go to make the keys unique. */
function uniqueSummary(
  rule: Extract<RowRule, { rule: "unique" }>,
  _types: ReadonlyMap<string, string>,
  data: string,
): Query {
  const keys = rule.columns.map(identifier);
  const present = keys.map((key) => `${key} IS NOT NULL`).join(" AND ");
  const nullFailures = rule.nulls === "fail" ? "missing" : "0";
  return (
    `SELECT coalesce(sum(n), 0) AS checked, coalesce(sum(CASE WHEN present THEN n - 1 ELSE ${nullFailures === "0" ? "0" : "n"} END), 0) AS failed ` +
    `FROM (SELECT ${keys.join(", ")}, (${present}) AS present, count(*) AS n FROM ${identifier(data)} WHERE ${inScope(rule)} GROUP BY ALL)`
  );
}

function sampleQuery(
  rule: Rule | undefined,
  types: ReadonlyMap<string, string>,
  data: string,
  limit: number,
): Query | undefined {
  if (rule === undefined) return undefined;
  if (rule.rule === "sql" && rule.query !== undefined) {
    return `SELECT row_number() OVER () AS ${identifier(rowNumberColumn)}, * FROM (${rule.query}) LIMIT ${limit}`;
  }
  if (!isRowRule(rule)) return undefined;
  const shown = sampleColumns(rule, types).map(identifier).join(", ");
  return (
    `SELECT ${identifier(rowNumberColumn)}, ${shown} FROM (SELECT *, ${holds(rule, types)} AS __espalier_ok FROM ${identifier(data)} ` +
    `WHERE ${inScope(rule)}) WHERE NOT __espalier_ok ORDER BY ${identifier(rowNumberColumn)} LIMIT ${limit}`
  );
}

/** The rule's own columns first, then others up to eight: enough to recognise the row, little enough for a report. */
function sampleColumns(rule: Rule, types: ReadonlyMap<string, string>): string[] {
  const own = ruleColumns(rule);
  const others = [...types.keys()].filter((name) => !own.includes(name));
  return [...own, ...others].slice(0, Math.max(8, own.length));
}

function splitQueries(
  rules: readonly Rule[],
  types: ReadonlyMap<string, string>,
  data: string,
): { valid: Query; quarantined: Query } | undefined {
  const quarantine = rules.filter((rule) => isRowRule(rule) && rule.severity === "quarantine") as RowRule[];
  if (quarantine.length === 0) return undefined;
  const broken = quarantine.map(
    (rule) => `CASE WHEN ${inScope(rule)} AND NOT ${holds(rule, types)} THEN ${literal(ruleName(rule))} END`,
  );
  const marked = `SELECT *, concat_ws('; ', ${broken.join(", ")}) AS _rule FROM ${identifier(data)}`;
  const hidden = identifier(rowNumberColumn);
  return {
    valid: `SELECT * EXCLUDE (_rule, ${hidden}) FROM (${marked}) WHERE _rule = '' ORDER BY ${hidden}`,
    quarantined: `SELECT * EXCLUDE (${hidden}) FROM (${marked}) WHERE _rule <> '' ORDER BY ${hidden}`,
  };
}

/** A rule on a column that the table does not have says nothing about the data: it must stop the step, not pass. */
function checkColumns(rules: readonly Rule[], columns: readonly TableColumn[]): void {
  const present = new Set(columns.map((column) => column.name));
  const faults: string[] = [];
  let at: string | undefined;
  for (const [index, rule] of rules.entries()) {
    if (rule.rule === "schema") continue;
    for (const column of ruleColumns(rule)) {
      if (present.has(column)) continue;
      at ??= `rules[${index}]`;
      faults.push(`rules[${index}] (${ruleName(rule)}) needs the column \`${column}\``);
    }
  }
  if (faults.length === 0) return;
  throw new EspalierError("INVALID_DATA", `The data lacks a column that a rule names: ${faults.join("; ")}`, {
    at: at ?? "rules",
    hint: `The file's columns are: ${[...present].join(", ")}.`,
  });
}
