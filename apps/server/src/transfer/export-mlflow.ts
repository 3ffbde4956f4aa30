import { isEspalierError, type RemoteHome, type TrackedFile, type TrackerMirror } from "@espalier/core";
import type { TransferCounts, TransferItem } from "../db/queries/transfer/transfers.ts";
import type { ArtifactFolders } from "../mlflow/artifacts/folders.ts";
import { countRows } from "./count-rows.ts";
import { exportRegistry } from "./export-registry.ts";
import { type ExportOptions, type ExportTarget, eachPage, idsAtOnce, put } from "./export-target.ts";
import { filesBelow, proxyPathOf } from "./record-files.ts";
import { tieTag } from "./tie-tag.ts";
import type { TransferContext, TransferResult } from "./transfer-port.ts";

/** Carries the record into a server, and counts both sides. Idempotent; resumes by the ledger. */
export async function exportMlflow(
  context: TransferContext,
  target: ExportTarget,
  options: ExportOptions,
): Promise<TransferResult> {
  const { record, peer, progress, changed, signal } = context;
  const { version } = await target.tracker.check({ signal });
  await record.transfers.resume(peer, context.id);
  await eachPage(
    (after) => record.trackedReads.experiments(after, idsAtOnce),
    (experiment) => experiment.id,
    async (experiment) => {
      if (options.experiments !== undefined && !options.experiments.includes(experiment.name)) return;
      progress.phase = `experiment ${experiment.name}`;
      const known = await record.transfers.item(peer, "experiment", experiment.id);
      // Deleted at the end, for a deleted experiment takes no runs.
      const id = await target.tracker.putExperiment({ ...experiment, lifecycle: "active" }, known?.targetId, {
        signal,
      });
      await put(context, "experiment", experiment.id, id, { experiments: 1 }, true);
      const deletedRuns: string[] = [];
      const runIds = (after: string) => record.trackedReads.runIds(experiment.id, after, idsAtOnce);
      await eachPage(
        runIds,
        (runId) => runId,
        async (runId) => {
          if (await exportRun(context, target, runId, id, options)) deletedRuns.push(runId);
        },
      );
      const modelIds = (after: string) => record.trackedReads.loggedModelIds(experiment.id, after, idsAtOnce);
      await eachPage(
        modelIds,
        (modelId) => modelId,
        (modelId) => exportModel(context, target, modelId, id, options),
      );
      await eachPage(
        runIds,
        (runId) => runId,
        (runId) => linkModels(context, target, runId),
      );
      if (experiment.lifecycle === "deleted") await target.tracker.putExperiment(experiment, id, { signal });
      progress.experiments += 1;
      changed();
    },
  );
  await exportRegistry(context, target, options);
  progress.phase = "counting";
  changed();
  const counts = await countRows(context, await target.count(context));
  return { description: `MLflow server ${version}`, counts, losses: [...target.losses] };
}

/** Parents first, for a child names its parent by its id over there. */
async function exportRun(
  context: TransferContext,
  target: ExportTarget,
  runId: string,
  experimentId: string,
  options: ExportOptions,
  depth = 0,
): Promise<boolean> {
  const { record, peer, progress, changed, signal } = context;
  signal.throwIfAborted();
  const known = await record.transfers.item(peer, "run", runId);
  if (known?.done) {
    if (depth === 0) progress.skipped += 1;
    return false;
  }
  const found = await record.trackedReads.run(runId);
  if (found === undefined) return false;
  const { run } = found;
  let parent: TransferItem | undefined;
  if (run.parentRunId !== undefined && depth < 100) {
    parent = await record.transfers.item(peer, "run", run.parentRunId);
    if (parent === undefined) {
      await exportRun(context, target, run.parentRunId, experimentId, options, depth + 1);
      parent = await record.transfers.item(peer, "run", run.parentRunId);
    }
  }
  const { parentRunId: _, ...rest } = run;
  const there = { ...rest, experimentId, ...(parent === undefined ? {} : { parentRunId: parent.targetId }) };
  const id = await target.tracker.putRun({ ...there, lifecycle: "active" }, known?.targetId, { signal });
  if (known === undefined) await put(context, "run", runId, id, {}, false);
  const { params, tags, inputs } = found;
  const { refused } = await target.tracker.log(id, { params, tags, inputs }, { signal });
  let points = 0;
  for await (const some of record.trackedReads.points(runId)) {
    await target.tracker.log(id, { points: some }, { signal });
    points += some.length;
    progress.points += some.length;
    changed();
  }
  const files = await exportFiles(context, target, { kind: "run", id }, found.artifactUri, options);
  if (run.lifecycle === "deleted") await target.tracker.putRun(there, id, { signal });
  const own: TransferCounts = {
    runs: 1,
    params: Object.keys(params).length,
    tags: Object.keys(tags).filter((key) => key !== tieTag).length,
    metrics: found.metricKeys.length,
    points,
    inputs: inputs.length,
  };
  const counts = { ...own, ...files, refused: refused.length + (files["refused"] ?? 0) };
  await put(context, "run", runId, id, counts, true);
  progress.runs += 1;
  changed();
  return run.lifecycle === "deleted";
}

async function exportModel(
  context: TransferContext,
  target: ExportTarget,
  modelId: string,
  experimentId: string,
  options: ExportOptions,
): Promise<void> {
  const { record, peer, signal } = context;
  signal.throwIfAborted();
  const known = await record.transfers.item(peer, "model", modelId);
  if (known?.done) return;
  const found = await record.trackedReads.loggedModel(modelId);
  if (found === undefined) return;
  const { runId, ...model } = found.model;
  const remoteRun = async (ours: string): Promise<string> =>
    (await record.transfers.item(peer, "run", ours))?.targetId ?? "";
  const source = runId === undefined ? "" : await remoteRun(runId);
  const metrics = await Promise.all(model.metrics.map(async (one) => ({ ...one, runId: await remoteRun(one.runId) })));
  const there = { ...model, metrics, experimentId, ...(source === "" ? {} : { runId: source }) };
  let id: string;
  try {
    id = await target.tracker.putModel(there, known?.targetId, { signal });
  } catch (error) {
    // MLflow 2 has no logged models: told as refused, and its versions carry the files themselves.
    if (!isEspalierError(error) || error.code !== "UNSUPPORTED") throw error;
    await put(context, "model", modelId, "", { loggedModels: 1, refused: 1 }, true);
    return;
  }
  if (known === undefined) await put(context, "model", modelId, id, {}, false);
  const files = await exportFiles(context, target, { kind: "model", id }, found.artifactUri, options);
  await put(context, "model", modelId, id, { loggedModels: 1, ...files }, true);
}

/** Which models a run made or read, once these have their ids over there. */
async function linkModels(
  { record, peer, signal }: TransferContext,
  { tracker }: ExportTarget,
  runId: string,
): Promise<void> {
  const found = await record.trackedReads.run(runId);
  const run = await record.transfers.item(peer, "run", runId);
  if (found === undefined || run === undefined || found.models.length === 0) return;
  const links = await Promise.all(
    found.models.map(async (link) => ({
      ...link,
      modelId: (await record.transfers.item(peer, "model", link.modelId))?.targetId ?? "",
    })),
  );
  const models = links.filter((link) => link.modelId !== "");
  if (models.length > 0) await tracker.log(run.targetId, { models }, { signal });
}

async function exportFiles(
  context: TransferContext,
  { tracker, folders }: ExportTarget,
  home: RemoteHome,
  artifactUri: string,
  { artifacts }: ExportOptions,
): Promise<TransferCounts> {
  if (!artifacts) return {};
  const root = proxyPathOf(artifactUri);
  if (root === undefined) return { unreachable: 1 };
  const counts = { files: 0, bytes: 0, refused: 0 };
  // What steps of pipelines published stays here: only what was put by clients is a run's own file.
  for await (const file of filesBelow(putOnly(context, folders), root)) {
    context.signal.throwIfAborted();
    if (await putFile(tracker, home, file, context)) {
      counts.files += 1;
      counts.bytes += file.size ?? 0;
      context.progress.files += 1;
      context.progress.bytes += file.size ?? 0;
      context.changed();
    } else counts.refused += 1;
  }
  return counts;
}

function putOnly({ record }: TransferContext, folders: ArtifactFolders): ArtifactFolders {
  return { find: folders.find, list: (folder, limit, after) => record.files.list(folder, limit, after) };
}

/** false: the server refuses the name. */
async function putFile(
  tracker: TrackerMirror,
  home: RemoteHome,
  file: TrackedFile,
  context: TransferContext,
): Promise<boolean> {
  try {
    await tracker.putFile(home, file, { signal: context.signal });
    return true;
  } catch (error) {
    if (!isEspalierError(error) || error.code !== "INVALID_INPUT") throw error;
    context.logger.warn({ path: file.path }, error.message);
    return false;
  }
}
