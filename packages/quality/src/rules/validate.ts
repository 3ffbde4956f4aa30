import type { Json, JsonObject, RuleResult, ValidationReport } from "@espalier/core";
import { compileRules, isRowRule } from "./compile.ts";
import { expectation, ruleName } from "./describe.ts";
import { rowNumberColumn, ruleColumns } from "./predicate.ts";
import type { Rule } from "./schema.ts";
import { ageHours, roundObserved, schemaFaults, type TableColumn, withinLimits } from "./table-checks.ts";

/** Runs a query and gives its rows as JSON. */
export type RowsOf = (sql: string) => Promise<readonly JsonObject[]>;

const sampleRows = 20;

/** Judges a table by its rules: one SELECT, a GROUP BY for each uniqueness, and a sample query only for a rule that failed. */
export async function validateTable(
  rows: RowsOf,
  rules: readonly Rule[],
  columns: readonly TableColumn[],
  data = "data",
): Promise<ValidationReport> {
  const compiled = compileRules(rules, columns, data);
  const summary = (await rows(compiled.summary))[0] ?? {};
  const results: RuleResult[] = [];
  for (const [index, rule] of rules.entries()) {
    const separate = compiled.separate.get(index);
    const counts =
      separate === undefined
        ? { checked: Number(summary[`c${index}`] ?? 0), failed: Number(summary[`f${index}`] ?? 0) }
        : await countsOf(rows, separate);
    const outcome = judge(rule, counts, summary[`o${index}`] ?? null, columns, Number(summary.rows));
    const sample = outcome.failed > 0 ? compiled.sample(index, sampleRows) : undefined;
    results.push({
      rule: ruleName(rule),
      kind: rule.rule,
      columns: ruleColumns(rule),
      severity: rule.severity,
      expectation: expectation(rule),
      samples: sample === undefined ? [] : (await rows(sample)).map(toSample),
      ...outcome,
    });
  }
  const quarantined = await quarantinedRows(rows, compiled.split?.quarantined);
  return {
    rows: Number(summary.rows),
    passed: results.every((result, index) => result.passed || !isFatal(rules[index])),
    quarantined,
    results,
  };
}

/** A quarantine rule fails the data only when more rows break it than its tolerance allows, and only if it states one. */
function isFatal(rule: Rule | undefined): boolean {
  if (rule === undefined || rule.severity === "warn") return false;
  if (rule.severity === "error") return true;
  return !isRowRule(rule) || rule.tolerance > 0;
}

type Outcome = Pick<RuleResult, "passed" | "checked" | "failed" | "observed">;

function judge(
  rule: Rule,
  counts: { checked: number; failed: number },
  observed: Json,
  columns: readonly TableColumn[],
  rows: number,
): Outcome {
  switch (rule.rule) {
    case "schema": {
      const faults = schemaFaults(rule, columns);
      return { passed: faults.length === 0, checked: columns.length, failed: faults.length, observed: faults };
    }
    case "row_count":
    case "aggregate": {
      const value = roundObserved(observed);
      const passed = withinLimits(value, rule);
      return { passed, checked: rows, failed: passed ? 0 : 1, observed: value };
    }
    case "freshness": {
      const age = ageHours(observed, rule.now);
      const passed = age !== undefined && age <= rule.max_age_hours;
      return { passed, checked: rows, failed: passed ? 0 : 1, observed };
    }
    default: {
      const tolerance = rule.rule === "sql" && rule.query !== undefined ? 0 : rule.tolerance;
      return { passed: counts.failed <= tolerance * counts.checked, ...counts };
    }
  }
}

async function countsOf(rows: RowsOf, query: string): Promise<{ checked: number; failed: number }> {
  const row = (await rows(query))[0];
  return { checked: Number(row?.checked ?? 0), failed: Number(row?.failed ?? 0) };
}

async function quarantinedRows(rows: RowsOf, query: string | undefined): Promise<number> {
  if (query === undefined) return 0;
  return Number((await rows(`SELECT count(*) AS n FROM (${query})`))[0]?.n ?? 0);
}

function toSample(row: JsonObject): { row: number; values: Record<string, Json> } {
  const { [rowNumberColumn]: number, ...values } = row;
  return { row: Number(number), values };
}
