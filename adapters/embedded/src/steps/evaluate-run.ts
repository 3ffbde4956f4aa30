import {
  type CodedColumn,
  calibrationError,
  calibrationTable,
  type DataStepContext,
  EspalierError,
  pointMetrics,
  type ScoredRows,
} from "@espalier/core";
import { identifier } from "@espalier/quality";
import { type DuckDb, openDuckDb } from "../duckdb-client.ts";
import { openModel } from "../open-model.ts";
import type { EvaluateWith } from "./evaluate.ts";
import { expression } from "./gate-run.ts";
import { type ImportanceReport, permutationImportance } from "./permutation-importance.ts";
import { checkSignature, type ScoredTable, scoreTable } from "./score-table.ts";
import { attachTable, type Column, requireColumns } from "./tables.ts";
import { fitting, writeValue } from "./value-output.ts";
import { writeParquet } from "./write-table.ts";

const sliceValues = 500;
/** Fewer rows than this give a count but no metrics. */
const smallestSlice = 50;
/** The most important columns are metrics of the run; the report has all that fit. */
const importanceMetrics = 50;

export interface SliceReport {
  column: string;
  value: string;
  rows: number;
  metrics: Record<string, number>;
}

export async function runEvaluate(context: DataStepContext): Promise<void> {
  // The declaration's schema has checked it, defaults included.
  const settings = context.with as unknown as EvaluateWith;
  const model = await openModel(context.inputs.model ?? "", "model");
  const database = await openDuckDb({ threads: 1, memoryLimit: "800MB" });
  try {
    const columns = await attachTable(database, "data", context.inputs.data ?? "");
    requireColumns([settings.target, ...settings.slices], columns, "data");
    checkSignature(model.signature, columns, "model");
    const rowCount = Number((await database.rows("SELECT count(*) AS n FROM data"))[0]?.n ?? 0);
    if (rowCount === 0)
      throw new EspalierError("INVALID_DATA", "There are no rows to evaluate on", { at: "inputs.data" });
    const table = await scoreTable(
      database,
      {
        models: [{ name: "model", model }],
        target: settings.target,
        task: settings.task,
        coded: settings.slices.map((column) => ({ column, sql: identifier(column), limit: sliceValues })),
        sample: { rows: settings.importance_rows, seed: settings.seed },
        onProgress: (done) => context.emit({ type: "progress", done, total: rowCount, unit: "rows" }),
      },
      rowCount,
    );
    const rows: ScoredRows = { score: table.scores[0] ?? new Float64Array(), target: table.target };
    const metrics = pointMetrics(rows, settings.task, settings.threshold);
    const importance = await permutationImportance(model, table, rows, settings);
    const report = {
      task: settings.task,
      target: settings.target,
      threshold: settings.threshold,
      rows: rowCount,
      metrics,
      ...(settings.task === "binary" ? { calibration: calibrationReport(rows) } : {}),
      slices: table.coded.flatMap((column) => sliceReports(rows, column, settings)),
      importance,
    };
    await writeValue(context.outputs.report, fitting(thinner(report)));
    await writePredictions(database, context, settings, columns, table);
    for (const [key, value] of Object.entries(metrics)) context.emit({ type: "metric", key, value });
    for (const { column, loss } of importance?.columns.slice(0, importanceMetrics) ?? []) {
      context.emit({ type: "metric", key: `importance.${column}`.slice(0, 250), value: loss });
    }
  } finally {
    await database.close();
    await model.close();
  }
}

function calibrationReport(rows: ScoredRows): { error: number; bins: ReturnType<typeof calibrationTable> } {
  const bins = calibrationTable(rows);
  return { error: calibrationError(bins), bins };
}

function sliceReports(rows: ScoredRows, column: CodedColumn, settings: EvaluateWith): SliceReport[] {
  const members: number[][] = column.values.map(() => []);
  for (const [row, code] of column.codes.entries()) members[code]?.push(row);
  const reports = column.values.map((value, code) => {
    const slice = members[code] ?? [];
    const part: ScoredRows = {
      score: Float64Array.from(slice, (row) => rows.score[row] ?? 0),
      target: Float64Array.from(slice, (row) => rows.target[row] ?? 0),
    };
    const metrics = slice.length < smallestSlice ? {} : pointMetrics(part, settings.task, settings.threshold);
    return { column: column.column, value, rows: slice.length, metrics };
  });
  return reports.sort((a, b) => b.rows - a.rows);
}

/** Columns: row (from 1), score, target, the slices, and `time` and `block` where they were asked for. */
async function writePredictions(
  database: DuckDb,
  context: DataStepContext,
  settings: EvaluateWith,
  columns: readonly Column[],
  table: ScoredTable,
): Promise<void> {
  const path = context.outputs.predictions;
  if (path === undefined) return;
  const extra = settings.slices.map((column) => `${identifier(column)} AS ${identifier(column)}`);
  if (settings.time !== undefined) extra.push(`${expression(settings.time, columns)} AS "time"`);
  if (settings.block !== undefined) extra.push(`${expression(settings.block, columns)} AS "block"`);
  await database.loadScores("scores", table.scores[0] ?? new Float64Array());
  const target = `CAST(${identifier(settings.target)} AS DOUBLE) AS target`;
  const data = `SELECT ${[target, ...extra].join(", ")} FROM data`;
  await writeParquet(database, `SELECT scores.row, scores.score, d.* FROM scores POSITIONAL JOIN (${data}) d`, path);
}

function* thinner<Report extends { slices: SliceReport[]; importance: ImportanceReport | null }>(
  report: Report,
): Iterable<Report> {
  for (const limit of [50, 25, 10, 5, 0]) {
    const seen = new Map<string, number>();
    const slices = report.slices.filter((slice) => {
      const count = (seen.get(slice.column) ?? 0) + 1;
      seen.set(slice.column, count);
      return count <= limit;
    });
    yield { ...report, slices };
  }
  if (report.importance === null) return;
  const { columns } = report.importance;
  for (const limit of [200, 20]) {
    yield { ...report, slices: [], importance: { ...report.importance, columns: columns.slice(0, limit) } };
  }
}
