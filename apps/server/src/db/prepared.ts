import { CompiledQuery, type QueryResult } from "kysely";
import type { RecordDatabase } from "./database.ts";

/** Whoever runs a compiled query: the database, a reader, a transaction. */
export interface QueryRunner {
  executeQuery<Row>(query: CompiledQuery<Row>): Promise<QueryResult<Row>>;
}

/** A statement whose text is made once: building it anew for each request costs more than running it. */
export interface Prepared<Row> {
  all(runner: QueryRunner, parameters: readonly unknown[]): Promise<Row[]>;
  first(runner: QueryRunner, parameters: readonly unknown[]): Promise<Row | undefined>;
}

/** Texts of such statements, which PostgreSQL too is to keep ready. */
const kept = new Map<string, string>();

/** The name under which PostgreSQL keeps the statement; undefined of one that is made for its request alone. */
export function statementName(text: string): string | undefined {
  return kept.get(text);
}

/** `text` has `?` for parameters, and none inside a literal; PostgreSQL gets `$1`, `$2`, ... */
export function prepared<Row>(database: Pick<RecordDatabase, "kind">, text: string): Prepared<Row> {
  const own = parametersFor(database.kind, text);
  if (!kept.has(own)) kept.set(own, `espalier_${kept.size}`);
  const all = async (runner: QueryRunner, parameters: readonly unknown[]): Promise<Row[]> =>
    (await runner.executeQuery<Row>(CompiledQuery.raw(own, [...parameters]) as CompiledQuery<Row>)).rows;
  return { all, first: async (runner, parameters) => (await all(runner, parameters))[0] };
}

export function parametersFor(kind: RecordDatabase["kind"], text: string): string {
  if (kind === "sqlite") return text;
  let number = 0;
  return text.replaceAll("?", () => `$${++number}`);
}

/** `column IN (one parameter)`, whatever the number of values, so that one text serves all; `listParameter` makes the parameter. */
export function inList({ kind }: Pick<RecordDatabase, "kind">, column: string): string {
  return kind === "sqlite" ? `${column} IN (SELECT value FROM json_each(?))` : `${column} = ANY(?)`;
}

export function listParameter(
  { kind }: Pick<RecordDatabase, "kind">,
  values: readonly string[],
): string | readonly string[] {
  return kind === "sqlite" ? JSON.stringify(values) : values;
}
