import { join } from "node:path";
import {
  EspalierError,
  type SourceModel,
  type SourceRun,
  type TrackedRun,
  type TrackedSource,
  type TrackedTags,
} from "@espalier/core";
import type { ControlPlane } from "../control-plane.ts";
import type { TrackedRunInfo } from "../db/queries/tracking/run-data.ts";
import { folderOfLocation } from "../mlflow/artifacts/locations.ts";
import { deletedRun, missingRun } from "../mlflow/tracked.ts";
import { importFiles } from "./import-files.ts";
import { openMlruns } from "./sources/mlruns-source.ts";
import { noProgress } from "./transfer-port.ts";

const entriesAtOnce = 100;
const parentTag = "mlflow.parentRunId";

/**
 * Brings what a step logged to a file store of MLflow's into the record, as if it had reached us while it ran: the first run that its script
 * began is the attempt's own, the others lie below it, and every experiment is the pipeline's. Idempotent: the ids are the source's, or
 * the attempt's. Errors: INVALID_DATA (a damaged part, named), INVALID_INPUT (no store).
 */
export async function importAttemptRuns(plane: ControlPlane, attemptId: string, folder: string): Promise<void> {
  const own = (await plane.record.tracking.runs.info(attemptId)) ?? missingRun(attemptId);
  const source = await openMlruns(folder);
  try {
    await source.check?.();
    const first = await firstRun(source);
    const into: Target = { plane, own, first, home: first === undefined ? "" : await nameOf(source, first) };
    for await (const { id } of source.experiments()) {
      for await (const run of source.runs(id)) await bringRun(into, source, run);
      for await (const model of source.loggedModels(id)) await bringModel(into, source, model);
    }
  } finally {
    await source.close();
  }
}

interface Target {
  plane: ControlPlane;
  own: TrackedRunInfo;
  /** The run of the source that is the attempt's; undefined when there is none. */
  first: TrackedRun | undefined;
  /** Name of its experiment. */
  home: string;
}

async function firstRun(source: TrackedSource): Promise<TrackedRun | undefined> {
  let first: TrackedRun | undefined;
  for await (const { id } of source.experiments()) {
    for await (const { run } of source.runs(id)) {
      const isEarlier = first === undefined || run.startTime < first.startTime;
      if (run.parentRunId === undefined && isEarlier) first = run;
    }
  }
  return first;
}

async function nameOf(source: TrackedSource, run: TrackedRun): Promise<string> {
  for await (const { id, name } of source.experiments()) if (id === run.experimentId) return name;
  return "";
}

async function bringRun(into: Target, source: TrackedSource, told: SourceRun): Promise<void> {
  const { plane, own, first } = into;
  const { record } = plane;
  const isOwn = told.run.id === first?.id;
  const id = isOwn ? own.id : told.run.id;
  const root = isOwn ? folderOfLocation(own.artifactUri) : `${own.experimentId}/${id}/artifacts`;
  if (isOwn) await logToOwn(into, told);
  else await record.transferRows.putRun(below(into, told), root);
  for await (const points of source.points(told)) await record.transferRows.putPoints(id, points);
  await bringFiles(into, source, told, root);
}

/** Its name, its parent and its end are the engine's. */
async function logToOwn({ plane, own, home }: Target, { params, tags, inputs, models }: SourceRun): Promise<void> {
  const { log, inputs: links } = plane.record.tracking;
  const isForeign = home !== "" && home !== "Default";
  const kept: TrackedTags = { ...tags, ...(isForeign ? { "espalier.mlflow_experiment": home } : {}) };
  const entries = {
    params: Object.entries(params).map(([key, value]) => ({ key, value })),
    tags: Object.entries(kept)
      .filter(([key]) => key !== "mlflow.runName" && key !== parentTag)
      .map(([key, value]) => ({ key, value })),
  };
  const most = Math.max(entries.params.length, entries.tags.length);
  for (let start = 0; start < most; start += entriesAtOnce) {
    const outcome = await log({
      runId: own.id,
      metrics: [],
      params: entries.params.slice(start, start + entriesAtOnce),
      tags: entries.tags.slice(start, start + entriesAtOnce),
    });
    if (outcome.kind === "deleted") deletedRun(own.id);
    if (outcome.kind !== "logged") {
      throw new EspalierError("CONFLICT", `The run of attempt ${own.id} has other parameters already`);
    }
  }
  const datasets = inputs.map(({ tags: inputTags, schema, profile, ...dataset }) => ({
    ...dataset,
    schema,
    profile,
    tags: Object.entries(inputTags).map(([key, value]) => ({ key, value })),
  }));
  const linked = (direction: string) => models.filter((model) => model.direction === direction);
  await links.logInputs(
    own.id,
    datasets,
    linked("input").map(({ modelId }) => modelId),
  );
  await links.logOutputs(own.id, linked("output"));
}

function below({ own, first }: Target, told: SourceRun): SourceRun {
  const { parentRunId } = told.run;
  const parent = parentRunId === undefined || parentRunId === first?.id ? own.id : parentRunId;
  return {
    ...told,
    run: { ...told.run, experimentId: own.experimentId, parentRunId: parent },
    tags: { ...told.tags, [parentTag]: parent },
  };
}

async function bringModel(into: Target, source: TrackedSource, told: SourceModel): Promise<void> {
  const { plane, own, first } = into;
  const root = `${own.experimentId}/models/${told.model.id}/artifacts`;
  const ofOwn = told.model.runId === first?.id;
  const model = { ...told.model, experimentId: own.experimentId, ...(ofOwn ? { runId: own.id } : {}) };
  const metrics = model.metrics.map((point) => (point.runId === first?.id ? { ...point, runId: own.id } : point));
  await plane.record.transferRows.putModel({ ...model, metrics }, root);
  await bringFiles(into, source, told, root);
}

async function bringFiles(
  { plane, own }: Target,
  source: TrackedSource,
  owner: SourceRun | SourceModel,
  root: string,
): Promise<void> {
  const { record, artifacts, project, logger, closing } = plane;
  await importFiles(
    {
      record,
      artifacts,
      logger,
      spoolDirectory: join(project.stateDirectory, "imports"),
      peer: { direction: "import", peer: own.id },
      id: own.id,
      actor: `attempt:${own.id}`,
      signal: closing,
      progress: noProgress(),
      changed: () => undefined,
    },
    source,
    owner,
    root,
    { files: 0, bytes: 0 },
    async () => undefined,
  );
}
