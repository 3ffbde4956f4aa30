import {
  EspalierError,
  isEspalierError,
  type Json,
  type JsonObject,
  type RuleResult,
  type ValidationReport,
} from "@espalier/core";
import { type CompiledRules, compileRules } from "./compile.ts";
import { expectation, ruleName } from "./describe.ts";
import { isRowRule, rowNumberColumn, ruleColumns } from "./predicate.ts";
import type { Rule } from "./schema.ts";
import { ageHours, roundObserved, schemaFaults, type TableColumn, withinLimits } from "./table-checks.ts";

/** Runs a query and gives its rows as JSON. */
export type RowsOf = (sql: string) => Promise<readonly JsonObject[]>;

const sampleRows = 20;

/** Judges a table by its rules: one query, and a sample of rows only for a rule that failed. */
export async function validateTable(
  rows: RowsOf,
  rules: readonly Rule[],
  columns: readonly TableColumn[],
  data = "data",
): Promise<ValidationReport> {
  const compiled = compileRules(rules, columns, data);
  const summary = await summarise(rows, rules, compiled);
  const total = Number(summary.rows);
  const results: RuleResult[] = [];
  for (const [index, rule] of rules.entries()) {
    const counts = { checked: Number(summary[`c${index}`] ?? total), failed: Number(summary[`f${index}`] ?? 0) };
    const outcome = judge(rule, counts, summary[`o${index}`] ?? null, columns, total);
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
  return {
    rows: total,
    passed: results.every((result, index) => result.passed || !isFatal(rules[index])),
    quarantined: await quarantinedRows(rows, rules, results, compiled.split?.quarantined),
    results,
  };
}

/** When the query fails, its parts are asked one by one, so that the error can name the rule. */
async function summarise(rows: RowsOf, rules: readonly Rule[], compiled: CompiledRules): Promise<JsonObject> {
  try {
    return (await rows(compiled.summary))[0] ?? {};
  } catch (whole) {
    for (const [index, rule] of rules.entries()) {
      const part = compiled.part(index);
      if (part === undefined) continue;
      try {
        await rows(part);
      } catch (cause) {
        throw ruleFault(rule, index, cause);
      }
    }
    throw whole;
  }
}

function ruleFault(rule: Rule, index: number, cause: unknown): unknown {
  if (isEspalierError(cause) && cause.code !== "INVALID_INPUT" && cause.code !== "INVALID_DATA") return cause;
  const message = cause instanceof Error ? cause.message.split("\n")[0] : String(cause);
  return new EspalierError("INVALID_CONFIG", `The rule ${ruleName(rule)} can not be asked of this data: ${message}`, {
    cause,
    at: `rules[${index}]`,
    hint: "Check the types of its columns, and any SQL in `where`, `predicate` or `query`.",
  });
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

async function quarantinedRows(
  rows: RowsOf,
  rules: readonly Rule[],
  results: readonly RuleResult[],
  query: string | undefined,
): Promise<number> {
  if (query === undefined) return 0;
  const failed = results.filter((_, index) => rules[index]?.severity === "quarantine").map((result) => result.failed);
  // One row may break several rules, so more than one of them needs a count of its own.
  if (failed.filter((count) => count > 0).length <= 1) return Math.max(...failed);
  return Number((await rows(`SELECT count(*) AS n FROM (${query})`))[0]?.n ?? 0);
}

function toSample(row: JsonObject): { row: number; values: Record<string, Json> } {
  const { [rowNumberColumn]: number, ...values } = row;
  return { row: Number(number), values };
}
