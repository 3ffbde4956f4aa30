import { type RawBuilder, sql } from "kysely";
import { like } from "../database.ts";

export type FilterOperator =
  | "="
  | "!="
  | ">"
  | ">="
  | "<"
  | "<="
  | "LIKE"
  | "ILIKE"
  | "RLIKE"
  | "IN"
  | "NOT IN"
  | "IS NULL"
  | "IS NOT NULL";

/** Text (quoted in the filter), a number, a list of texts, or null beside IS NULL and IS NOT NULL. */
export type FilterValue = string | number | bigint | readonly string[] | null;

/** One comparison of a filter, checked against its grammar: entity and key are canonical, and the value fits the operator. */
export interface FilterComparison {
  entity: string;
  key: string;
  operator: FilterOperator;
  value: FilterValue;
}

/** One key to order by, canonical. */
export interface OrderTerm {
  entity: string;
  key: string;
  ascending: boolean;
}

const never = sql<boolean>`1 = 0`;
/** True of every value, as of no comparison it is of none. */
const always = (column: RawBuilder<unknown>): RawBuilder<boolean> => sql`${column} IS NOT NULL`;

/** The comparison of a text column (compared by bytes). IS NULL and IS NOT NULL are the caller's: they ask whether there is a row. */
export function compareText(column: RawBuilder<string>, { operator, value }: FilterComparison): RawBuilder<boolean> {
  if (operator === "IN" || operator === "NOT IN") {
    const values = Array.isArray(value) ? (value as readonly string[]) : [String(value)];
    if (values.length === 0) return operator === "IN" ? never : always(column);
    return sql<boolean>`${column} ${sql.raw(operator)} (${sql.join(values)})`;
  }
  if (operator === "LIKE" || operator === "ILIKE") {
    return like(column, literalBackslashes(String(value)), operator === "ILIKE");
  }
  return sql<boolean>`${column} ${sql.raw(ordinary(operator))} ${String(value)}`;
}

/** The comparison of a column of doubles. */
export function compareDouble(column: RawBuilder<number>, { operator, value }: FilterComparison): RawBuilder<boolean> {
  return sql<boolean>`${column} ${sql.raw(ordinary(operator))} ${Number(value)}`;
}

const leastInt64 = -(2n ** 63n);
const greatestInt64 = 2n ** 63n - 1n;

/** The comparison of a column of 64-bit integers with any number. PostgreSQL would refuse a fraction, or more than 64 bits, as its value. */
export function compareInteger(
  column: RawBuilder<number | bigint>,
  { operator, value }: FilterComparison,
): RawBuilder<boolean> {
  const given = typeof value === "bigint" ? value : Number(value);
  const isWhole = typeof given === "bigint" || Number.isInteger(given);
  if (!isWhole && (operator === "=" || operator === "!=")) return operator === "=" ? never : always(column);
  if (given > greatestInt64) return ["<", "<=", "!="].includes(operator) ? always(column) : never;
  if (given < leastInt64) return [">", ">=", "!="].includes(operator) ? always(column) : never;
  // x > 1.5 is x > 1, x >= 1.5 is x >= 2, and so on: the bound moves to the whole number that divides alike.
  const up = operator === ">=" || operator === "<";
  const whole = typeof given === "bigint" ? given : BigInt(up ? Math.ceil(given) : Math.floor(given));
  return sql<boolean>`${column} ${sql.raw(ordinary(operator))} ${whole}`;
}

const ordinaryOperators: readonly string[] = ["=", "!=", ">", ">=", "<", "<="];

function ordinary(operator: FilterOperator): string {
  // These texts become SQL: nothing but the six may pass, whatever the caller thought it had checked.
  if (!ordinaryOperators.includes(operator)) throw new Error(`${operator} is no comparison of two values`);
  return operator;
}

/** A backslash escapes `%`, `_` and itself; elsewhere it stands for itself. PostgreSQL would refuse a pattern that ends in one. */
function literalBackslashes(pattern: string): string {
  return pattern.replaceAll(/\\[%_\\]|\\/g, (found) => (found.length === 2 ? found : "\\\\"));
}
