import type { Rule } from "./schema.ts";

/** What a rule asks for, in words. */
export function expectation(rule: Rule): string {
  switch (rule.rule) {
    case "schema": {
      const columns = Object.entries(rule.columns).map(([name, type]) => `${name} ${type}`);
      return `columns ${columns.join(", ")}${rule.ordered ? ", in this order" : ""}${rule.extra === "forbid" ? ", no others" : ""}`;
    }
    case "row_count":
      return `number of rows ${between(rule)}${onlyWhere(rule.where)}`;
    case "not_null":
      return `${rule.column} is present${onlyWhere(rule.where)}`;
    case "unique":
      return `${rule.columns.join(", ")} unique${onlyWhere(rule.where)}`;
    case "in_set":
      return `${rule.column} is one of ${shortList(rule.values)}${onlyWhere(rule.where)}`;
    case "range":
      return `${rule.column} ${between(rule)}${onlyWhere(rule.where)}`;
    case "matches":
      return `${rule.column} ${rule.format === undefined ? `matches ${rule.pattern}` : `reads as ${rule.format}`}${onlyWhere(rule.where)}`;
    case "length":
      return `length of ${rule.column} ${between({ ...rule, strict: false })}${onlyWhere(rule.where)}`;
    case "compare":
      return `${rule.left} ${rule.op} ${rule.right}${onlyWhere(rule.where)}`;
    case "aggregate":
      return `${aggregateName(rule)} ${between(rule)}${onlyWhere(rule.where)}`;
    case "freshness":
      return `newest ${rule.column} at most ${rule.max_age_hours} hours old`;
    case "references":
      return `${rule.column} exists in ${rule.table}.${rule.table_column}${onlyWhere(rule.where)}`;
    case "sql":
      return rule.predicate === undefined ? `no rows from ${rule.query}` : `${rule.predicate}${onlyWhere(rule.where)}`;
  }
}

/** The rule's name in reports: as given, or made from the rule. */
export function ruleName(rule: Rule): string {
  if (rule.name !== undefined) return rule.name;
  switch (rule.rule) {
    case "schema":
    case "row_count":
    case "sql":
      return rule.rule;
    case "unique":
      return `unique(${rule.columns.join(", ")})`;
    case "compare":
      return `compare(${rule.left} ${rule.op} ${rule.right})`;
    case "aggregate":
      return aggregateName(rule);
    default:
      return `${rule.rule}(${rule.column})`;
  }
}

function aggregateName(rule: Extract<Rule, { rule: "aggregate" }>): string {
  return rule.function === "quantile" ? `quantile(${rule.column}, ${rule.q})` : `${rule.function}(${rule.column})`;
}

function between(rule: {
  min?: number | string | undefined;
  max?: number | string | undefined;
  strict: boolean;
}): string {
  const parts: string[] = [];
  if (rule.min !== undefined) parts.push(`${rule.strict ? "above" : "at least"} ${rule.min}`);
  if (rule.max !== undefined) parts.push(`${rule.strict ? "below" : "at most"} ${rule.max}`);
  return parts.join(" and ");
}

function onlyWhere(where: string | undefined): string {
  return where === undefined ? "" : ` where ${where}`;
}

function shortList(values: readonly unknown[]): string {
  const shown = values.slice(0, 8).join(", ");
  return values.length > 8 ? `${shown} and ${values.length - 8} more` : shown;
}
