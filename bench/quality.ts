/**
 * Validation and drift on 10,000,000 synthetic rows, beside DuckDB's plain scan of the same columns (each column's largest value, which
 * decodes every value) in the same process on the same threads. `node bench/quality.ts [rows] [threads]`
 */
import { mkdtemp, rm } from "node:fs/promises";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { openDuckDb } from "@espalier/embedded";
import { driftReport, parseRules, profileTable, type TableColumn, validateTable } from "@espalier/quality";

const rowCount = Number(process.argv[2] ?? 10_000_000);
const threads = Number(process.argv[3] ?? availableParallelism());
const rounds = 5;

const columns: TableColumn[] = [
  { name: "amount", type: "DOUBLE" },
  { name: "score", type: "DOUBLE" },
  { name: "delay", type: "INTEGER" },
  { name: "distance", type: "BIGINT" },
  { name: "city", type: "VARCHAR" },
];

const rules = parseRules([
  {
    rule: "schema",
    columns: { amount: "number", score: "number", delay: "integer", distance: "integer", city: "string" },
  },
  { rule: "row_count", min: 1 },
  ...columns.map((column) => ({ rule: "not_null", column: column.name })),
  { rule: "range", column: "amount", min: 0, max: 1000 },
  { rule: "range", column: "score", min: 0, max: 1 },
  { rule: "range", column: "delay", min: -50, max: 100, tolerance: 0.5 },
  { rule: "in_set", column: "city", values: Array.from({ length: 60 }, (_, index) => `city-${index}`) },
  { rule: "compare", left: "delay", op: "<=", right: "distance" },
  { rule: "aggregate", function: "mean", column: "amount", min: 400, max: 600 },
]);

const folder = await mkdtemp(join(tmpdir(), "espalier-bench-"));
const database = await openDuckDb({ threads });
const rows = (sql: string) => database.rows(sql);
try {
  const path = join(folder, "rows.parquet");
  await database.run(
    `COPY (SELECT random() * 1000 AS amount, random() AS score, (random() * 200)::INTEGER - 60 AS delay,
       (random() * 3000)::BIGINT + 200 AS distance, 'city-' || (random() * 50)::INTEGER AS city FROM range(${rowCount}))
     TO '${path}' (FORMAT parquet, COMPRESSION zstd)`,
  );
  await database.run(
    `CREATE VIEW data AS SELECT * EXCLUDE (file_row_number), file_row_number + 1 AS __espalier_row
     FROM read_parquet('${path}', file_row_number = true)`,
  );
  const reference = await profileTable(rows, "data", columns);
  const scan = `SELECT ${columns.map((column) => `max(${column.name})`).join(", ")} FROM data`;
  const moments = `SELECT ${columns.map((column) => (column.type === "VARCHAR" ? `approx_count_distinct(${column.name})` : `avg(${column.name}), stddev_pop(${column.name}), min(${column.name}), max(${column.name})`)).join(", ")} FROM data`;
  const work = {
    "DuckDB: largest value of each column": () => rows(scan),
    "DuckDB: mean, deviation, least, largest": () => rows(moments),
    "Espalier: 13 rules": () => validateTable(rows, rules, columns),
    "Espalier: profile": () => profileTable(rows, "data", columns, { reference }),
  };
  const seconds = new Map<string, number[]>(Object.keys(work).map((name) => [name, []]));
  for (let round = 0; round < rounds; round++) {
    for (const [name, run] of Object.entries(work)) {
      const start = performance.now();
      await run();
      seconds.get(name)?.push((performance.now() - start) / 1000);
    }
  }
  const start = performance.now();
  driftReport(reference, reference);
  const comparing = performance.now() - start;
  const median = (name: string): number =>
    [...(seconds.get(name) ?? [])].sort((a, b) => a - b)[Math.floor(rounds / 2)] ?? 0;
  const baseline = median("DuckDB: largest value of each column");
  process.stdout.write(
    `${rowCount.toLocaleString("en")} rows, ${columns.length} columns, ${threads} threads, median of ${rounds}\n`,
  );
  for (const name of Object.keys(work)) {
    process.stdout.write(
      `${name.padEnd(44)} ${median(name).toFixed(2)} s  ${(median(name) / baseline).toFixed(1)} x scan\n`,
    );
  }
  process.stdout.write(`${"Espalier: comparing two profiles".padEnd(44)} ${comparing.toFixed(1)} ms\n`);
} finally {
  await database.close();
  await rm(folder, { recursive: true, force: true });
}
