import type { Json } from "@espalier/core";
import { identifier } from "../sql-text.ts";
import type { Rule } from "./schema.ts";

export interface TableColumn {
  name: string;
  /** DuckDB's name of the type. */
  type: string;
}

type AggregateRule = Extract<Rule, { rule: "aggregate" }>;

/** SQL of the observed value, over the whole table; it goes into the one SELECT. */
export function observedSql(rule: Extract<Rule, { rule: "aggregate" | "row_count" | "freshness" }>): string {
  if (rule.rule === "freshness") return `CAST(max(${identifier(rule.column)}) AS VARCHAR)`;
  const filter = rule.where === undefined ? "" : ` FILTER (WHERE ${rule.where})`;
  if (rule.rule === "row_count") return `count(*)${filter}`;
  return aggregateSql(rule, filter);
}

function aggregateSql(rule: AggregateRule, filter: string): string {
  const column = identifier(rule.column);
  switch (rule.function) {
    case "count":
      return `count(${column})${filter}`;
    case "distinct":
      return `count(DISTINCT ${column})${filter}`;
    case "sum":
      return `CAST(sum(${column})${filter} AS DOUBLE)`;
    case "mean":
      return `avg(${column})${filter}`;
    case "stddev":
      return `stddev_samp(${column})${filter}`;
    case "min":
      return `min(${column})${filter}`;
    case "max":
      return `max(${column})${filter}`;
    case "median":
      return `quantile_cont(${column}, 0.5)${filter}`;
    case "quantile":
      return `quantile_cont(${column}, ${rule.q ?? 0.5})${filter}`;
    case "null_share":
      return `count(*) FILTER (WHERE ${column} IS NULL${rule.where === undefined ? "" : ` AND (${rule.where})`}) / nullif(count(*)${filter}, 0)`;
  }
}

/** Twelve digits: the order in which threads add floating-point numbers must not change a report's digest. */
export function roundObserved(value: Json): Json {
  return typeof value === "number" && !Number.isInteger(value) ? Number(value.toPrecision(12)) : value;
}

/** true when the observed value lies within the limits; nothing observed (no rows, only NULL) never does. */
export function withinLimits(
  value: Json,
  rule: { min?: number | string | undefined; max?: number | string | undefined; strict: boolean },
): boolean {
  if (typeof value !== "number" && typeof value !== "string") return false;
  const above =
    rule.min === undefined || compare(value, rule.min) > 0 || (!rule.strict && compare(value, rule.min) === 0);
  const below =
    rule.max === undefined || compare(value, rule.max) < 0 || (!rule.strict && compare(value, rule.max) === 0);
  return above && below;
}

function compare(a: number | string, b: number | string): number {
  if (typeof a === "number" && typeof b === "number") return a - b;
  const dates = [String(a), String(b)].map((text) => Date.parse(utc(text)));
  const [left, right] = dates;
  if (left !== undefined && right !== undefined && !Number.isNaN(left) && !Number.isNaN(right)) return left - right;
  return String(a) < String(b) ? -1 : String(a) > String(b) ? 1 : 0;
}

/** Hours between the newest value and `now`; undefined when there is none. */
export function ageHours(newest: Json, now: string | undefined): number | undefined {
  if (typeof newest !== "string") return undefined;
  const reference = now === undefined ? Date.now() : Date.parse(utc(now));
  const milliseconds = reference - Date.parse(utc(newest));
  return Number.isNaN(milliseconds) ? undefined : milliseconds / 3_600_000;
}

/** A time without a zone is UTC, whatever this machine's zone is. */
function utc(text: string): string {
  const plain = text.trim().replace(" ", "T");
  if (!plain.includes("T")) return plain;
  return /(Z|[+-]\d\d(:?\d\d)?)$/.test(plain) ? plain.replace(/([+-]\d\d)$/, "$1:00") : `${plain}Z`;
}

const families: Readonly<Record<string, RegExp>> = {
  any: /./,
  integer: /^U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?$/,
  number: /^(U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?|DOUBLE|FLOAT|DECIMAL.*)$/,
  float: /^(DOUBLE|FLOAT|DECIMAL.*)$/,
  string: /^(VARCHAR|ENUM.*)$/,
  boolean: /^BOOLEAN$/,
  date: /^DATE$/,
  timestamp: /^TIMESTAMP.*$/,
};

/** What is wrong with the columns, each in a phrase; empty when the schema holds. */
export function schemaFaults(rule: Extract<Rule, { rule: "schema" }>, columns: readonly TableColumn[]): string[] {
  const types = new Map(columns.map((column) => [column.name, column.type]));
  const wanted = Object.entries(rule.columns);
  const faults: string[] = [];
  for (const [name, type] of wanted) {
    const actual = types.get(name);
    if (actual === undefined) faults.push(`${name} is missing`);
    else if (!(families[type.toLowerCase()]?.test(actual) ?? type.toUpperCase() === actual)) {
      faults.push(`${name} is ${actual}, not ${type}`);
    }
  }
  const extra = columns.filter((column) => rule.columns[column.name] === undefined).map((column) => column.name);
  if (rule.extra === "forbid" && extra.length > 0) faults.push(`not expected: ${extra.join(", ")}`);
  if (rule.ordered && faults.length === 0) {
    const order = columns.filter((column) => rule.columns[column.name] !== undefined).map((column) => column.name);
    if (order.join("\n") !== wanted.map(([name]) => name).join("\n")) faults.push(`the order is ${order.join(", ")}`);
  }
  return faults;
}
