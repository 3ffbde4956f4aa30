import { availableParallelism } from "node:os";
import {
  type DataValidator,
  EspalierError,
  type ToolManifest,
  type ValidationReport,
  type ValidationRequest,
} from "@espalier/core";
import { compileRules, identifier, parseRules, type Rule, rowNumberColumn, validateTable } from "@espalier/quality";
import { z } from "zod";
import { type DuckDb, openDuckDb } from "./duckdb-client.ts";
import { duckdbVersion } from "./duckdb-version.ts";
import { attachTable, type Column, listTableFiles, requireColumns, tableSource } from "./steps/tables.ts";
import { writeParquet } from "./steps/write-table.ts";

export const duckdbDataValidatorManifest: ToolManifest = {
  tool: "duckdb",
  provider: "embedded",
  component: "validator",
  milestone: 2,
  summary: "Thirteen kinds of rule, compiled to one SQL query over Parquet, CSV or JSON files",
  capabilities: ["quarantine", "samples", "references"],
  skills: ["sql"],
  ownership: {
    place: "this machine",
    setUpHours: [0, 0],
    hoursAMonth: [0, 0],
    dollarsAMonth: [0, 0],
    lockIn: 0,
    wayOut: "rules are YAML, and each is one SQL query",
    source: "nothing is added to run or to pay",
    asOf: "2026-11-27",
  },
  cost: { money: "none", operations: "none: a library in the step's own process" },
  verified: { label: "real", against: `DuckDB ${duckdbVersion}`, live: "not applicable" },
};

export const duckdbDataValidatorConfig = z.strictObject({
  /** Threads for checking; writing always takes one, so that bytes repeat. */
  threads: z.int().min(1).max(64).optional(),
  /** DuckDB's own word, such as `1200MB`. */
  memory_limit: z
    .string()
    .regex(/^\d+(\.\d+)?(KB|MB|GB|KiB|MiB|GiB)$/, "is a size such as 1200MB")
    .default("1200MB"),
});

export function createDuckdbDataValidator(config: unknown = {}): DataValidator {
  const settings = duckdbDataValidatorConfig.parse(config);
  return {
    validate: async (request) => {
      const rules = parseRules(request.rules);
      const threads = settings.threads ?? Math.min(availableParallelism(), 8);
      const database = await openDuckDb({ threads, memoryLimit: settings.memory_limit });
      try {
        return await validateWith(database, rules, request);
      } finally {
        await database.close();
      }
    },
  };
}

async function validateWith(
  database: DuckDb,
  rules: readonly Rule[],
  request: ValidationRequest,
): Promise<ValidationReport> {
  for (const [name, path] of Object.entries(request.tables ?? {})) {
    checkReferences(rules, name, await attachTable(database, name, path));
  }
  const columns = await attachNumbered(database, request.dataPath);
  checkTablesExist(rules, Object.keys(request.tables ?? {}));
  const report = await validateTable((sql) => database.rows(sql), rules, columns);
  if (report.passed) await writeRows(database, rules, columns, request);
  return report;
}

/** Rows carry their number in the file, from 1, so that samples can be found again. */
async function attachNumbered(database: DuckDb, path: string): Promise<Column[]> {
  const columns = await attachTable(database, "raw", path);
  const files = await listTableFiles(path);
  const source = await tableSource(path, "data");
  const number = identifier(rowNumberColumn);
  if (files.length === 1 && source.startsWith("read_parquet(")) {
    const numbered = source.replace(/\)$/, ", file_row_number = true)");
    await database.run(
      `CREATE VIEW data AS SELECT * EXCLUDE (file_row_number), file_row_number + 1 AS ${number} FROM ${numbered}`,
    );
  } else {
    await database.run(`CREATE TABLE data AS SELECT *, row_number() OVER () AS ${number} FROM raw`);
  }
  return columns;
}

async function writeRows(
  database: DuckDb,
  rules: readonly Rule[],
  columns: readonly Column[],
  request: ValidationRequest,
): Promise<void> {
  const split = compileRules(rules, columns).split;
  const hidden = identifier(rowNumberColumn);
  const all = `SELECT * EXCLUDE (${hidden}) FROM data`;
  const none = `SELECT * EXCLUDE (${hidden}), '' AS _rule FROM data LIMIT 0`;
  await database.run("SET threads = 1");
  if (request.validPath !== undefined) await writeParquet(database, split?.valid ?? all, request.validPath);
  if (request.quarantinePath !== undefined) {
    await writeParquet(database, split?.quarantined ?? none, request.quarantinePath);
  }
}

function checkReferences(rules: readonly Rule[], table: string, columns: readonly Column[]): void {
  for (const rule of rules) {
    // Without this check SQL would take the name for a column of the data itself, and every row would pass.
    if (rule.rule === "references" && rule.table === table) requireColumns([rule.table_column], columns, table);
  }
}

function checkTablesExist(rules: readonly Rule[], tables: readonly string[]): void {
  for (const [index, rule] of rules.entries()) {
    if (rule.rule !== "references" || tables.includes(rule.table)) continue;
    throw new EspalierError("INVALID_CONFIG", `The rule refers to the table \`${rule.table}\`, which is not an input`, {
      at: `rules[${index}].table`,
      hint: `Add it under \`inputs:\` of the validate step. There ${tables.length === 0 ? "are no further inputs" : `are: ${tables.join(", ")}`}.`,
    });
  }
}
