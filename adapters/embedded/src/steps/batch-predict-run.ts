import { cp, link, mkdir, readdir, rm } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { dirname, join } from "node:path";
import { type DataStepContext, EspalierError } from "@espalier/core";
import { describeBatchModel } from "../batch/batch-model.ts";
import { Checkpoint, type UnitOutcome } from "../batch/checkpoint.ts";
import { joinRejects, type PartShape, unitPlace } from "../batch/part-writer.ts";
import { scoreFile } from "../batch/score-files.ts";
import { type ScoredFile, scoredFiles } from "../batch/scored-files.ts";
import { sourceColumns } from "../batch/source-column.ts";
import { planUnits, type Unit } from "../batch/units.ts";
import { openDuckDb } from "../duckdb-client.ts";
import type { BatchPredictWith } from "./batch-predict.ts";
import { requireColumns } from "./tables.ts";
import { fitting, writeValue } from "./value-output.ts";

export async function runBatchPredict(context: DataStepContext): Promise<void> {
  // The declaration's schema has checked it, defaults included.
  const settings = context.with as unknown as BatchPredictWith;
  const model = await describeBatchModel(context.inputs.model ?? "", settings.outputs);
  const folder = context.checkpoint ?? `${context.outputs.predictions}.checkpoint`;
  const threads = threadsOf(process.env);
  const reader = await openDuckDb({ threads: Math.min(threads, 4), memoryLimit: "1GB" });
  const writer = await openDuckDb({ threads: 1, memoryLimit: "800MB" });
  const pool = await model.start(threads);
  try {
    const data = context.inputs.data ?? "";
    const files = await scoredFiles(reader, data, model.signature, join(folder, "converted"));
    const columns = files.map((file) => sourceColumns(model.signature, model.layout, file.columns, file.name));
    const shape = shapeOf(settings, context, model.digest);
    for (const file of files) requireColumns(neededColumns(shape), file.columns, file.name);
    const units = planUnits(files, settings.part_rows);
    const checkpoint = await Checkpoint.open(folder, planOf(files, units, settings, shape, context));
    const outcomes = await readOutcomes(checkpoint, units);
    const total = units.reduce((sum, { from, to }) => sum + to - from, 0);
    let done = 0;
    let toldAt = 0;
    const onProgress = (rows: number): void => {
      done += rows;
      if (Date.now() - toldAt < 1000 && done < total) return;
      toldAt = Date.now();
      context.emit({ type: "progress", done, total, unit: "rows" });
    };
    const finished = [...outcomes.values()].reduce((sum, { rows }) => sum + rows, 0);
    if (finished > 0) {
      context.emit({ type: "note", text: `An earlier attempt has predicted ${finished} of ${total} rows.` });
      onProgress(finished);
    }
    for (const [index, file] of files.entries()) {
      const open = units.filter((unit) => unit.file === index && !outcomes.has(unit));
      if (open.length === 0) continue;
      await scoreFile(
        {
          reader,
          writer,
          pool,
          checkpoint,
          layout: model.layout,
          outputs: model.outputs,
          shape,
          batchRows: settings.batch_rows,
          skipsBadRows: settings.on_bad_row === "skip",
          signal: context.signal,
          onProgress,
        },
        file,
        columns[index] ?? [],
        open,
      );
    }
    await publish(context, checkpoint, files, units, shape);
    const rejects = await rejectsOf(checkpoint, units);
    const [first] = files;
    if (context.outputs.rejects !== undefined && first !== undefined) {
      await joinRejects(writer, rejects, first, context.outputs.rejects);
    }
    await report(context, checkpoint, files, units, model.digest);
  } finally {
    await pool.close();
    await reader.close();
    await writer.close();
  }
  if (context.checkpoint === undefined) await rm(folder, { recursive: true, force: true });
}

/** As many as the step's `resources.cpu`, which a runner tells by this variable as it does to every numeric library; else all cores. */
function threadsOf(environment: NodeJS.ProcessEnv): number {
  const given = Number(environment["OMP_NUM_THREADS"]);
  return Number.isInteger(given) && given > 0 ? given : availableParallelism();
}

function shapeOf(settings: BatchPredictWith, { params }: DataStepContext, modelDigest: string): PartShape {
  const { prediction_id: id } = settings;
  return {
    keep: settings.keep,
    predictionId: id === undefined ? "content" : id === false ? "none" : { column: id },
    partitionColumns: settings.partition_by.filter((name) => params[name] === undefined),
    ...(settings.threshold === undefined ? {} : { threshold: settings.threshold }),
    ...(settings.model_name === undefined ? {} : { modelName: settings.model_name }),
    ...(settings.model_version === undefined ? {} : { modelVersion: settings.model_version }),
    modelDigest,
  };
}

const neededColumns = ({ keep, partitionColumns, predictionId }: PartShape): string[] => [
  ...keep,
  ...partitionColumns,
  ...(typeof predictionId === "string" ? [] : [predictionId.column]),
];

/** Everything that decides what a unit holds: a checkpoint of another plan is worth nothing. */
function planOf(
  files: readonly ScoredFile[],
  units: readonly Unit[],
  settings: BatchPredictWith,
  shape: PartShape,
  { params }: DataStepContext,
): unknown {
  return {
    version: 1,
    settings,
    model: shape.modelDigest,
    partitions: constantPartitions(settings, params),
    files: files.map(({ name, rowGroups, columns }) => ({ name, rowGroups, columns })),
    units: units.map(({ file, from, to }) => [file, from, to]),
  };
}

/** `name=value` of the partitions that the run's parameters give; what a folder's name can not hold is written as in a URL. */
function constantPartitions(settings: BatchPredictWith, params: DataStepContext["params"]): string {
  return settings.partition_by
    .filter((name) => params[name] !== undefined)
    .map((name) => `${name}=${encodeURIComponent(String(params[name]))}`)
    .join("/");
}

async function readOutcomes(checkpoint: Checkpoint, units: readonly Unit[]): Promise<Map<Unit, UnitOutcome>> {
  const outcomes = new Map<Unit, UnitOutcome>();
  for (const unit of units) {
    const outcome = await checkpoint.outcome(unit);
    if (outcome !== undefined) outcomes.set(unit, outcome);
  }
  return outcomes;
}

async function rejectsOf(checkpoint: Checkpoint, units: readonly Unit[]): Promise<string[]> {
  const rejects: string[] = [];
  for (const unit of units) {
    const outcome = await checkpoint.outcome(unit);
    if (outcome !== undefined && outcome.rejected > 0) rejects.push(unitPlace(checkpoint.folder, unit).rejects);
  }
  return rejects;
}

/** Lays the parts of all units out as one folder. The checkpoint keeps them: a step that is killed here still has its work. */
async function publish(
  context: DataStepContext,
  checkpoint: Checkpoint,
  files: readonly ScoredFile[],
  units: readonly Unit[],
  shape: PartShape,
): Promise<void> {
  const root = context.outputs.predictions;
  if (root === undefined) return;
  const settings = context.with as unknown as BatchPredictWith;
  const constant = constantPartitions(settings, context.params);
  await rm(root, { recursive: true, force: true });
  await mkdir(root, { recursive: true });
  for (const unit of units) {
    const { parts } = unitPlace(checkpoint.folder, unit);
    // Folders of the input stay folders of the output, unless the data's own columns name them.
    const own = shape.partitionColumns.length === 0 ? (files[unit.file]?.folder ?? "") : "";
    for (const entry of await readdir(parts, { withFileTypes: true, recursive: true })) {
      if (!entry.isFile()) continue;
      const from = join(entry.parentPath, entry.name);
      const target = join(root, constant, own, from.slice(parts.length + 1));
      await mkdir(dirname(target), { recursive: true });
      await linkOrCopy(from, target);
    }
  }
}

async function linkOrCopy(from: string, to: string): Promise<void> {
  await link(from, to).catch(async (error: NodeJS.ErrnoException) => {
    if (error.code !== "EXDEV" && error.code !== "EPERM" && error.code !== "ENOTSUP") throw error;
    await cp(from, to);
  });
}

/** Only what the inputs decide: the report is an output like any other, and equal runs have equal ones. */
async function report(
  context: DataStepContext,
  checkpoint: Checkpoint,
  files: readonly ScoredFile[],
  units: readonly Unit[],
  modelDigest: string,
): Promise<void> {
  const byFile = files.map(({ name }) => ({ file: name, rows: 0, rejected: 0 }));
  const rejectedBy: Record<string, number> = {};
  let notFinite = 0;
  for (const unit of units) {
    const outcome = await checkpoint.outcome(unit);
    const file = byFile[unit.file];
    if (outcome === undefined || file === undefined) {
      throw new EspalierError("INTERNAL", `Unit ${unit.index} has not been predicted`);
    }
    file.rows += outcome.rows;
    file.rejected += outcome.rejected;
    notFinite += outcome.notFinite;
    for (const [column, count] of Object.entries(outcome.rejectedBy)) {
      rejectedBy[column] = (rejectedBy[column] ?? 0) + count;
    }
  }
  const rows = byFile.reduce((sum, file) => sum + file.rows, 0);
  const rejected = byFile.reduce((sum, file) => sum + file.rejected, 0);
  const whole = {
    model: modelDigest,
    rows,
    predicted: rows - rejected,
    rejected,
    rejectedBy: Object.entries(rejectedBy)
      .map(([column, count]) => ({ column: column === "" ? null : column, rows: count }))
      .sort((a, b) => b.rows - a.rows),
    notFinite,
    parts: units.length,
    files: byFile,
  };
  await writeValue(context.outputs.report, fitting(thinner(whole)));
  context.emit({ type: "metric", key: "rows", value: rows });
  context.emit({ type: "metric", key: "rows.predicted", value: rows - rejected });
  context.emit({ type: "metric", key: "rows.rejected", value: rejected });
  if (notFinite > 0) {
    context.emit({ type: "metric", key: "rows.not_finite", value: notFinite });
    context.emit({
      type: "note",
      text: `The model gives no finite score for ${notFinite} rows; they are written as it gave them.`,
    });
  }
  process.stdout.write(`${rows - rejected} of ${rows} rows predicted, ${rejected} set aside\n`);
}

/** A value output is bounded. */
function* thinner<Report extends { files: readonly unknown[]; rejectedBy: readonly unknown[] }>(
  whole: Report,
): Iterable<Report & { filesOmitted?: number }> {
  yield whole;
  for (const limit of [200, 20, 0]) {
    const files = whole.files.slice(0, limit);
    yield {
      ...whole,
      files,
      rejectedBy: whole.rejectedBy.slice(0, limit),
      filesOmitted: whole.files.length - files.length,
    };
  }
}
