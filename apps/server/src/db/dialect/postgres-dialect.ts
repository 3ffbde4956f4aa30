import { type Dialect, PostgresDialect, type PostgresPoolClient } from "kysely";
import pg from "pg";
import { statementName } from "../prepared.ts";
import { fromPostgresError } from "./postgres-errors.ts";

const int8 = 20;

/** Integers beyond 2^53 stay bigint, all others become numbers: the same rule as for SQLite. */
function parseInt8(text: string): number | bigint {
  const value = Number(text);
  return Number.isSafeInteger(value) ? value : BigInt(text);
}

const types: pg.CustomTypesConfig = {
  getTypeParser: ((oid: number, format: "text" | "binary") =>
    oid === int8 && format !== "binary"
      ? parseInt8
      : pg.types.getTypeParser(oid, format)) as typeof pg.types.getTypeParser,
};

/** Kysely on `pg`, with errors mapped and 64-bit integers read like SQLite's. */
export function postgresDialect(url: string, maximumConnections = 10): Dialect {
  const pool = new pg.Pool({ connectionString: url, max: maximumConnections, types, connectionTimeoutMillis: 10_000 });
  // An idle connection that breaks is replaced by the pool at the next use; without a listener it would end the process.
  pool.on("error", () => undefined);
  return new PostgresDialect({
    pool: {
      options: {},
      end: () => pool.end(),
      connect: async () => {
        const client = await pool.connect().catch((error: unknown) => {
          throw fromPostgresError(error);
        });
        return {
          release: (destroy?: boolean) => client.release(destroy),
          query: (async (text: string, parameters: unknown[]) => {
            try {
              const values = parameters.map(toPostgres);
              const name = statementName(text);
              return await (name === undefined ? client.query(text, values) : client.query({ name, text, values }));
            } catch (error) {
              throw fromPostgresError(error);
            }
          }) as unknown as PostgresPoolClient["query"],
        };
      },
    },
  });
}

function toPostgres(value: unknown): unknown {
  if (typeof value === "boolean") return value ? 1 : 0;
  if (typeof value === "bigint") return value.toString();
  return value;
}
