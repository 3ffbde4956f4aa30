import { CompiledQuery } from "kysely";
import type { RecordDatabase } from "./database.ts";
import { parametersFor, type QueryRunner } from "./prepared.ts";

type Kind = RecordDatabase["kind"];
export type BulkValue = string | number | bigint | null;

/** Inserts any number of rows by a few statements whose texts never change. */
export interface BulkInsert {
  /** The number of rows that were written: those a conflict left out do not count. */
  run(runner: QueryRunner, rows: readonly (readonly BulkValue[])[]): Promise<number>;
}

const types = { text: "text[]", integer: "bigint[]", real: "double precision[]" } as const;
/** Few enough that a batch of 1,000 is 16 statements, and each text short enough to stay prepared. */
const rowsAStatement = [64, 8, 1] as const;

/** `columns` in the order of the rows' values; only texts may be null. `conflict` is what follows ON CONFLICT. */
export function bulkInsert(
  kind: Kind,
  table: string,
  columns: Readonly<Record<string, keyof typeof types>>,
  conflict: string,
): BulkInsert {
  const names = Object.keys(columns);
  const insert = `INSERT INTO ${table} (${names.join(", ")})`;
  return kind === "sqlite"
    ? sqliteInsert(insert, names.length, conflict)
    : postgresInsert(insert, Object.values(columns), conflict);
}

function sqliteInsert(insert: string, width: number, conflict: string): BulkInsert {
  const row = `(${Array(width).fill("?").join(", ")})`;
  const texts = rowsAStatement.map((count) => ({
    count,
    text: `${insert} VALUES ${Array(count).fill(row).join(", ")} ON CONFLICT ${conflict}`,
  }));
  return {
    run: async (runner, rows) => {
      let written = 0;
      let at = 0;
      for (const { count, text } of texts) {
        for (; rows.length - at >= count; at += count) {
          const { numAffectedRows = 0n } = await runner.executeQuery(
            CompiledQuery.raw(text, rows.slice(at, at + count).flat()),
          );
          written += Number(numAffectedRows);
        }
      }
      return written;
    },
  };
}

function postgresInsert(insert: string, kinds: readonly (keyof typeof types)[], conflict: string): BulkInsert {
  const arrays = kinds.map((kind) => `?::${types[kind]}`).join(", ");
  const text = parametersFor("postgres", `${insert} SELECT * FROM unnest(${arrays}) ON CONFLICT ${conflict}`);
  return {
    run: async (runner, rows) => {
      if (rows.length === 0) return 0;
      const parameters = kinds.map((kind, column) => {
        const values = rows.map((row) => row[column]);
        // Of numbers the literal is ready at once; texts need their quoting.
        return kind === "text" ? values : `{${values.join(",")}}`;
      });
      const { numAffectedRows = 0n } = await runner.executeQuery(CompiledQuery.raw(text, parameters));
      return Number(numAffectedRows);
    },
  };
}
