import { readFile } from "node:fs/promises";
import { dirname } from "node:path";
import { type DataStepContext, EspalierError, isEspalierError, type Json } from "@espalier/core";
import { identifier, literal } from "@espalier/quality";
import { type DuckDb, openDuckDb } from "../duckdb-client.ts";
import { attachTable } from "./tables.ts";
import { writeCsv, writeParquet } from "./write-table.ts";

/** One thread for everything: parallel aggregation of floating-point numbers, and parallel writing, give other bytes every time. */
export async function runSql(context: DataStepContext): Promise<void> {
  const scriptPath = context.inputs.script ?? "";
  const script = await readFile(scriptPath, "utf8");
  const outputNames = Object.keys(context.outputs);
  if (outputNames.length === 0) {
    throw new EspalierError("INVALID_PIPELINE", "A `sql` step declares no outputs", {
      at: "outputs",
      hint: "Name the tables that the script creates, such as `outputs: { train: parquet }`.",
    });
  }
  const database = await openDuckDb({ threads: 1 });
  try {
    for (const [name, path] of Object.entries(context.inputs)) {
      if (name !== "script") await attachTable(database, name, path);
    }
    for (const [name, value] of Object.entries(context.params)) {
      await database.run(`SET VARIABLE ${identifier(name)} = ${parameterLiteral(name, value)}`);
    }
    await confine(database, context);
    await runScript(database, script);
    await writeOutputs(database, context, outputNames);
  } finally {
    await database.close();
  }
}

/** A script that reads another file, or changes a setting, would not be a function of its inputs. */
async function confine(database: DuckDb, context: DataStepContext): Promise<void> {
  const folders = new Set([...Object.values(context.inputs), ...Object.values(context.outputs)].map(dirname));
  await database.run(`SET allowed_directories = [${[...folders].map(literal).join(", ")}]`);
  await database.run("SET enable_external_access = false");
  await database.run("SET lock_configuration = true");
}

async function runScript(database: DuckDb, script: string): Promise<void> {
  try {
    await database.run(script);
  } catch (error) {
    if (isEspalierError(error) && error.code !== "INVALID_INPUT") throw error;
    const message = error instanceof Error ? error.message : String(error);
    throw new EspalierError("INVALID_INPUT", `The SQL script failed. ${message}`, {
      cause: error,
      at: "inputs.script",
      ...scriptHint(message),
    });
  }
}

function scriptHint(message: string): { hint?: string } {
  if (/file system operations are disabled|is not allowed|Permission Error/i.test(message)) {
    return { hint: "A script reads only the step's inputs; add the file under `inputs:`." };
  }
  if (/not found in FROM clause/i.test(message)) {
    return { hint: "Did a column of an input vanish or change its name? `DESCRIBE <input>` shows what there is." };
  }
  return {};
}

async function writeOutputs(database: DuckDb, context: DataStepContext, names: readonly string[]): Promise<void> {
  const made = (await database.rows("SELECT table_name FROM duckdb_tables() WHERE NOT internal")).concat(
    await database.rows("SELECT view_name AS table_name FROM duckdb_views() WHERE NOT internal"),
  );
  const present = made.map((row) => String(row.table_name)).filter((name) => context.inputs[name] === undefined);
  for (const name of names) {
    if (!present.includes(name)) {
      throw new EspalierError("INVALID_INPUT", `The script creates no table or view named \`${name}\``, {
        at: `outputs.${name}`,
        hint: `It creates: ${present.join(", ") || "none"}.`,
      });
    }
  }
  for (const [index, name] of names.entries()) {
    const write = context.outputTypes[name] === "file" ? writeCsv : writeParquet;
    const rows = await write(database, `SELECT * FROM ${identifier(name)}`, context.outputs[name] ?? "");
    context.emit({ type: "metric", key: `rows.${name}`, value: rows });
    context.emit({ type: "progress", done: index + 1, total: names.length, unit: "tables" });
  }
}

function parameterLiteral(name: string, value: Json): string {
  if (typeof value === "string") return literal(value);
  if (typeof value === "boolean") return String(value);
  if (typeof value === "number") return Number.isInteger(value) ? `${value}::BIGINT` : `${value}::DOUBLE`;
  throw new EspalierError("INVALID_INPUT", `The parameter \`${name}\` is neither text, number nor truth value`, {
    at: `params.${name}`,
  });
}
