import { readFile } from "node:fs/promises";
import { DuckDBInstance } from "@duckdb/node-api";
import type { ArtifactRef, OutputIr } from "@espalier/core";

/** One output of a step in two runs. */
export interface Pair {
  name: string;
  declared: Pick<OutputIr, "determinism" | "comparator" | "tolerance">;
  refs: readonly [ArtifactRef | undefined, ArtifactRef | undefined];
  /** Files with the contents; only of what is declared equivalent. */
  paths: readonly [string, string];
}

export interface Verdict {
  name: string;
  verdict: "equal" | "equivalent" | "differs" | "missing" | "not promised";
  detail: string;
}

/** Exact outputs by digest, equivalent ones by their comparator, and of the rest only whether they are equal. */
export async function compare(pair: Pair): Promise<Verdict> {
  const [one, other] = pair.refs;
  const { name, declared } = pair;
  if (one === undefined || other === undefined) {
    const which = one === undefined ? "first" : "second";
    return { name, verdict: "missing", detail: `the ${which} run has none` };
  }
  if (one.digest === other.digest) return { name, verdict: "equal", detail: one.digest.slice(0, 19) };
  if (declared.determinism === "equivalent") return compareEquivalent(pair);
  const detail = `${one.digest.slice(0, 19)} and ${other.digest.slice(0, 19)}`;
  return { name, verdict: declared.determinism === "exact" ? "differs" : "not promised", detail };
}

async function compareEquivalent({ name, declared, paths }: Pair): Promise<Verdict> {
  const [one, other] = paths;
  const { comparator = "json", tolerance = 0 } = declared;
  const difference = comparator === "json" ? await jsonDifference(one, other) : await tableDifference(one, other);
  const verdict = difference <= tolerance ? "equivalent" : "differs";
  return { name, verdict, detail: `greatest difference ${difference}, tolerance ${tolerance}` };
}

/** The greatest difference of two numbers at one place; infinite where anything else differs. */
function numericDifference(one: unknown, other: unknown): number {
  if (typeof one === "number" && typeof other === "number") return Math.abs(one - other);
  if (typeof one === "object" && typeof other === "object" && one !== null && other !== null) {
    const keys = new Set([...Object.keys(one), ...Object.keys(other)]);
    const at = (value: object, key: string): unknown => (value as Record<string, unknown>)[key];
    return Math.max(0, ...[...keys].map((key) => numericDifference(at(one, key), at(other, key))));
  }
  return one === other ? 0 : Number.POSITIVE_INFINITY;
}

async function jsonDifference(one: string, other: string): Promise<number> {
  const [left, right] = await Promise.all([one, other].map((path) => readFile(path, "utf8")));
  return numericDifference(JSON.parse(left ?? ""), JSON.parse(right ?? ""));
}

/** Row by row in the order they stand in. */
async function tableDifference(one: string, other: string): Promise<number> {
  const connection = await (await DuckDBInstance.create()).connect();
  try {
    const rowsOf = (path: string): string => `(SELECT row_number() OVER () AS row, * FROM read_parquet('${path}'))`;
    const described = await connection.runAndReadAll(`DESCRIBE SELECT * FROM read_parquet('${one}')`);
    const terms = described.getRows().map(([column, type]) => {
      const [a, b] = [`a."${String(column)}"`, `b."${String(column)}"`];
      const isNumber = /INT|DECIMAL|FLOAT|DOUBLE/.test(String(type));
      const differs = `CASE WHEN ${a} IS NOT DISTINCT FROM ${b} THEN 0 ELSE 'Infinity'::DOUBLE END`;
      return isNumber ? `coalesce(abs(${a}::DOUBLE - ${b}::DOUBLE), ${differs})` : differs;
    });
    const lost = "CASE WHEN a.row IS NULL OR b.row IS NULL THEN 'Infinity'::DOUBLE ELSE 0 END";
    const found = await connection.runAndReadAll(
      `SELECT coalesce(max(greatest(${[lost, ...terms].join(", ")})), 0) FROM ${rowsOf(one)} a FULL JOIN ${rowsOf(other)} b USING (row)`,
    );
    return Number(found.getRows()[0]?.[0]);
  } finally {
    connection.closeSync();
  }
}
