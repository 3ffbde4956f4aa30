import {
  EspalierError,
  isEspalierError,
  type SourceModel,
  type SourceRun,
  type TrackedExperiment,
  type TrackedSource,
} from "@espalier/core";
import type { TransferCounts } from "../db/queries/transfer/transfers.ts";
import { countAll, createPointCount } from "./count-points.ts";
import { countRows } from "./count-rows.ts";
import { importFiles } from "./import-files.ts";
import { importRegistry } from "./import-registry.ts";
import { requireNoClash } from "./no-clash.ts";
import type { TransferContext, TransferResult } from "./transfer-port.ts";

export interface ImportOptions {
  experimentPrefix: string;
  modelPrefix: string;
  /** false: no files. */
  artifacts: boolean;
}

const runsAtOnce = 4;

/** Carries everything that is not here yet from this pass, and counts both sides. Idempotent; resumes by the ledger. */
export async function importMlflow(
  context: TransferContext,
  source: TrackedSource,
  options: ImportOptions,
): Promise<TransferResult> {
  const { record, peer, progress, changed, signal } = context;
  progress.phase = "reading the source";
  changed();
  await source.check?.();
  await requireNoClash(context, source, options);
  await record.transfers.resume(peer, context.id);
  for await (const experiment of source.experiments()) {
    signal.throwIfAborted();
    progress.phase = `experiment ${experiment.name}`;
    const id = await importExperiment(context, experiment, options);
    await inParallel(source.runs(experiment.id), (run) => importRun(context, source, run, id, options));
    for await (const model of source.loggedModels(experiment.id))
      await importModel(context, source, model, id, options);
    progress.experiments += 1;
    changed();
  }
  await importRegistry(context, source, options);
  progress.phase = "counting";
  changed();
  const counts = await countRows(context, await record.countImported(peer.peer));
  return { description: source.description, counts, losses: [...source.losses()] };
}

async function importExperiment(
  { record, peer }: TransferContext,
  experiment: TrackedExperiment,
  { experimentPrefix }: ImportOptions,
): Promise<string> {
  const targetId = await record.transferRows.putExperiment({ ...experiment, name: experimentPrefix + experiment.name });
  const counts = { experiments: 1 };
  await record.transfers.put(peer, { kind: "experiment", sourceId: experiment.id, targetId, counts, done: true });
  return targetId;
}

async function importRun(
  context: TransferContext,
  source: TrackedSource,
  told: SourceRun,
  experimentId: string,
  options: ImportOptions,
): Promise<void> {
  const { record, peer, progress, changed, signal } = context;
  signal.throwIfAborted();
  const run: SourceRun = { ...told, run: { ...told.run, experimentId } };
  const known = await record.transfers.item(peer, "run", run.run.id);
  if (known?.done) {
    progress.skipped += 1;
    return;
  }
  const root = `${experimentId}/${run.run.id}/artifacts`;
  await record.transferRows.putRun(run, root);
  const item = {
    kind: "run" as const,
    sourceId: run.run.id,
    targetId: run.run.id,
    root,
    sourceRoot: told.artifactUri,
  };
  // In the ledger before its files come, so that what is half carried is known.
  if (known === undefined) await record.transfers.put(peer, { ...item, counts: {}, done: false });
  const points = await importPoints(context, source, told);
  const own: TransferCounts = {
    runs: 1,
    params: Object.keys(run.params).length,
    tags: Object.keys(run.tags).length,
    metrics: points.keys,
    points: points.distinct,
    inputs: run.inputs.length,
  };
  const files = await carryFiles(context, source, told, root, known?.counts, options, (reached) =>
    record.transfers.put(peer, { ...item, counts: reached, done: false }),
  );
  await record.transfers.put(peer, { ...item, counts: { ...own, ...files }, done: true });
  progress.runs += 1;
  changed();
}

async function importPoints(
  { record, progress, changed, signal }: TransferContext,
  source: TrackedSource,
  run: SourceRun,
): Promise<{ keys: number; distinct: number }> {
  const count = createPointCount();
  const keys = new Set<string>();
  for await (const points of source.points(run)) {
    signal.throwIfAborted();
    for (const { key } of points) keys.add(key);
    count.add(points);
    await record.transferRows.putPoints(run.run.id, points);
    progress.points += points.length;
    changed();
  }
  let distinct = count.distinct();
  for (const key of count.unordered()) distinct += await countAll(source.points({ ...run, metricKeys: [key] }), key);
  return { keys: keys.size, distinct };
}

async function importModel(
  context: TransferContext,
  source: TrackedSource,
  told: SourceModel,
  experimentId: string,
  options: ImportOptions,
): Promise<void> {
  const { record, peer, signal } = context;
  signal.throwIfAborted();
  const { id } = told.model;
  const known = await record.transfers.item(peer, "model", id);
  if (known?.done) return;
  const root = `${experimentId}/models/${id}/artifacts`;
  await record.transferRows.putModel({ ...told.model, experimentId }, root);
  const item = { kind: "model" as const, sourceId: id, targetId: id, root, sourceRoot: told.artifactUri };
  if (known === undefined) await record.transfers.put(peer, { ...item, counts: {}, done: false });
  const files = await carryFiles(context, source, told, root, known?.counts, options, (reached) =>
    record.transfers.put(peer, { ...item, counts: reached, done: false }),
  );
  await record.transfers.put(peer, { ...item, counts: { loggedModels: 1, ...files }, done: true });
}

async function carryFiles(
  context: TransferContext,
  source: TrackedSource,
  owner: SourceRun | SourceModel,
  root: string,
  known: TransferCounts | undefined,
  options: ImportOptions,
  reached: (counts: TransferCounts) => Promise<void>,
): Promise<TransferCounts> {
  if (!options.artifacts) return {};
  // Only a try of this pass that was cut off has counts of files alone.
  const cutOff = known !== undefined && known["runs"] === undefined && known["loggedModels"] === undefined;
  const done = cutOff ? { files: known["files"] ?? 0, bytes: known["bytes"] ?? 0 } : { files: 0, bytes: 0 };
  try {
    return await importFiles(context, source, owner, root, done, reached);
  } catch (error) {
    if (!isEspalierError(error) || error.code !== "UNSUPPORTED") throw error;
    context.logger.warn({ uri: owner.artifactUri }, error.message);
    return { unreachable: 1 };
  }
}

async function inParallel(runs: AsyncIterable<SourceRun>, work: (run: SourceRun) => Promise<void>): Promise<void> {
  const running = new Set<Promise<void>>();
  const failures: unknown[] = [];
  for await (const run of runs) {
    if (failures.length > 0) break;
    const promise: Promise<void> = work(run)
      .catch((error: unknown) => {
        failures.push(error instanceof Error ? error : new EspalierError("INTERNAL", String(error)));
      })
      .finally(() => running.delete(promise));
    running.add(promise);
    if (running.size >= runsAtOnce) await Promise.race(running);
  }
  await Promise.all(running);
  if (failures.length > 0) throw failures[0];
}
