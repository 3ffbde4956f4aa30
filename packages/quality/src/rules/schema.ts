import { z } from "zod";

/** Numbers, or dates and times as text. */
const bound = z.union([z.number(), z.string()]);
const column = z.string().min(1);

const modifiers = {
  /** How the report calls the rule; left out, it is made from the rule. */
  name: z.string().min(1).max(120).optional(),
  /** error: the data fails. warn: told only. quarantine: failing rows are set aside and the rest goes on. */
  severity: z.enum(["error", "warn", "quarantine"]).default("error"),
};

const rowModifiers = {
  ...modifiers,
  /** SQL predicate: only these rows are checked. */
  where: z.string().min(1).optional(),
  /** Share of the checked rows that may fail, 0 to 1. */
  tolerance: z.number().min(0).max(1).default(0),
  /** What a NULL means to the rule. */
  nulls: z.enum(["pass", "fail"]).optional(),
};

const limits = {
  min: bound.optional(),
  max: bound.optional(),
  /** true: the limits themselves are outside. */
  strict: z.boolean().default(false),
};

/** The vocabulary: thirteen kinds of rule. */
export const ruleSchema = z.discriminatedUnion("rule", [
  z.strictObject({
    rule: z.literal("schema"),
    ...modifiers,
    /** Column to type; `any` for any. `integer` and `number` stand for families of types. */
    columns: z.record(column, z.string()),
    extra: z.enum(["allow", "forbid"]).default("allow"),
    /** true: in this order. */
    ordered: z.boolean().default(false),
  }),
  z.strictObject({ rule: z.literal("row_count"), ...modifiers, ...limits, where: z.string().optional() }),
  z.strictObject({ rule: z.literal("not_null"), ...rowModifiers, column }),
  z.strictObject({ rule: z.literal("unique"), ...rowModifiers, columns: z.array(column).min(1) }),
  z.strictObject({
    rule: z.literal("in_set"),
    ...rowModifiers,
    column,
    values: z.array(z.union([z.string(), z.number(), z.boolean()])).min(1),
  }),
  z.strictObject({ rule: z.literal("range"), ...rowModifiers, column, ...limits }),
  z.strictObject({
    rule: z.literal("matches"),
    ...rowModifiers,
    column,
    /** Regular expression (RE2) that the whole text must match. */
    pattern: z.string().optional(),
    format: z.enum(["date", "timestamp", "email", "uuid", "integer", "number"]).optional(),
  }),
  z.strictObject({
    rule: z.literal("length"),
    ...rowModifiers,
    column,
    min: z.int().nonnegative().optional(),
    max: z.int().nonnegative().optional(),
  }),
  z.strictObject({
    rule: z.literal("compare"),
    ...rowModifiers,
    left: column,
    op: z.enum(["<", "<=", "=", "!=", ">=", ">"]),
    right: column,
  }),
  z.strictObject({
    rule: z.literal("aggregate"),
    ...modifiers,
    ...limits,
    where: z.string().optional(),
    function: z.enum(["count", "distinct", "sum", "mean", "stddev", "min", "max", "median", "quantile", "null_share"]),
    column,
    /** For `quantile`, 0 to 1. */
    q: z.number().min(0).max(1).optional(),
  }),
  z.strictObject({
    rule: z.literal("freshness"),
    ...modifiers,
    column,
    /** The newest value may be this many hours older than `now`. */
    max_age_hours: z.number().positive(),
    /** Left out: the moment of validation, which makes the report differ from day to day. */
    now: z.string().optional(),
  }),
  z.strictObject({
    rule: z.literal("references"),
    ...rowModifiers,
    column,
    /** Name of the input that holds the other table. */
    table: z.string().min(1),
    table_column: column,
  }),
  z.strictObject({
    rule: z.literal("sql"),
    ...rowModifiers,
    /** Must hold in each row. */
    predicate: z.string().min(1).optional(),
    /** A query over `data` that must return no rows. */
    query: z.string().min(1).optional(),
  }),
]);
export type Rule = z.infer<typeof ruleSchema>;
export type RuleKind = Rule["rule"];

export const ruleKinds: readonly RuleKind[] = [
  "schema",
  "row_count",
  "not_null",
  "unique",
  "in_set",
  "range",
  "matches",
  "length",
  "compare",
  "aggregate",
  "freshness",
  "references",
  "sql",
];
