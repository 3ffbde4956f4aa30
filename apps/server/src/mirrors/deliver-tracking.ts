import { EspalierError, isEspalierError, type RunContent, type SourceRun, type TrackerMirror } from "@espalier/core";
import type { TrackingChange } from "../db/mirror-changes.ts";
import type { OutboxRow } from "../db/queries/mirrors.ts";
import type { ProjectRecord } from "../db/record.ts";
import type { ArtifactFolders } from "../mlflow/artifacts/folders.ts";
import { proxyPathOf } from "../transfer/record-files.ts";

export interface TrackingDelivery {
  record: ProjectRecord;
  folders: ArtifactFolders;
  tracker: TrackerMirror;
  mirror: string;
  signal: AbortSignal;
  /** Something that the server will never take. */
  refused(what: string, error?: unknown): void;
  /** Runs that were told whole, and the newest change that was known by then: what came before is told already. */
  toldWhole: Map<string, number>;
}

/** What a batch of changes says about one run. */
interface RunNews {
  whole: boolean;
  params: Record<string, string>;
  tags: Record<string, string | null>;
  points: NonNullable<RunContent["points"]>[number][];
  inputs: boolean;
}

/** Tells a batch, run by run: the order between runs means nothing, the order within one is kept. */
export async function deliverTracking(delivery: TrackingDelivery, rows: readonly OutboxRow[]): Promise<void> {
  const runs = new Map<string, RunNews>();
  // A model is told as it is by now: once a batch is enough.
  const models = new Set<string>();
  const files: Extract<TrackingChange, { kind: "file" }>[] = [];
  for (const { number, change } of rows as readonly { number: number; change: TrackingChange }[]) {
    if (change.kind === "experiment") await putExperiment(delivery, change.subject);
    else if (change.kind === "logged-model") models.add(change.subject);
    else if (change.kind === "file") files.push(change);
    else if (number > (delivery.toldWhole.get(change.subject) ?? 0)) gather(runs, change);
  }
  for (const [runId, news] of runs) await attempt(delivery, runId, () => tellRun(delivery, runId, news));
  for (const modelId of models) await attempt(delivery, modelId, () => tellModel(delivery, modelId));
  for (const change of files) await attempt(delivery, change.subject, () => tellFile(delivery, change));
}

function gather(runs: Map<string, RunNews>, change: TrackingChange): void {
  const news = runs.get(change.subject) ?? { whole: false, params: {}, tags: {}, points: [], inputs: false };
  runs.set(change.subject, news);
  if (change.kind === "run") news.whole = true;
  else if (change.kind === "params") Object.assign(news.params, change.params);
  else if (change.kind === "tags") Object.assign(news.tags, change.tags);
  else if (change.kind === "metrics") for (const point of change.points) news.points.push(point);
  else if (change.kind === "inputs") news.inputs = true;
}

/** What the server will never take is told and left behind; anything else is tried again, whole. */
async function attempt(delivery: TrackingDelivery, subject: string, work: () => Promise<unknown>): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (isEspalierError(error) && error.code === "NOT_FOUND") {
      // Somebody deleted it over there for good: it is made anew, whole.
      await forget(delivery, subject);
      delivery.toldWhole.delete(subject);
      await work();
      return;
    }
    if (!isEspalierError(error) || (error.code !== "INVALID_INPUT" && error.code !== "TOO_LARGE")) throw error;
    delivery.refused(subject, error);
  }
}

async function forget({ record, mirror }: TrackingDelivery, subject: string): Promise<void> {
  for (const kind of ["run", "logged-model"]) await record.mirrors.dropName(mirror, kind, subject);
}

async function putExperiment(
  { record, tracker, mirror, signal }: TrackingDelivery,
  id: string,
  lifecycle?: "active",
): Promise<string> {
  const experiment = await record.trackedReads.experiment(id);
  if (experiment === undefined) throw new EspalierError("INTERNAL", `There is no experiment ${id} to tell a mirror of`);
  const known = await record.mirrors.nameOf(mirror, "experiment", id);
  const there = await tracker.putExperiment(
    { ...experiment, ...(lifecycle === undefined ? {} : { lifecycle }) },
    known,
    { signal },
  );
  if (there !== known) await record.mirrors.putName(mirror, "experiment", id, there);
  return there;
}

async function tellRun(delivery: TrackingDelivery, runId: string, news: RunNews): Promise<void> {
  const { record, tracker, mirror, signal } = delivery;
  const known = await record.mirrors.nameOf(mirror, "run", runId);
  const found = await record.trackedReads.run(runId);
  if (found === undefined) return;
  if (known === undefined) {
    await tellWhole(delivery, found);
    return;
  }
  const { params, tags, points } = news;
  const inputs = news.inputs ? found.inputs : [];
  const models = news.inputs ? await linksOf(delivery, found) : [];
  const { refused } = await tracker.log(known, { params, tags, points, inputs, models }, { signal });
  for (const key of refused) delivery.refused(`${runId}: the parameter ${key} has another value over there`);
  if (news.whole) await putRun(delivery, found, known);
}

/** A run that the server does not have: as it is by now. */
async function tellWhole(delivery: TrackingDelivery, found: SourceRun): Promise<string> {
  const { record, tracker, mirror, signal, toldWhole } = delivery;
  const runId = found.run.id;
  const upTo = await record.mirrors.newest(mirror);
  // Read after the number, so that nothing up to it is missing.
  const whole = (await record.trackedReads.run(runId)) ?? found;
  const there = await putRun(delivery, { ...whole, run: { ...whole.run, lifecycle: "active" } }, undefined);
  const { params, tags, inputs } = whole;
  const models = await linksOf(delivery, whole);
  await tracker.log(there, { params, tags, inputs, models }, { signal });
  for await (const points of record.trackedReads.points(runId)) await tracker.log(there, { points }, { signal });
  if (whole.run.lifecycle === "deleted") await putRun(delivery, whole, there);
  await record.mirrors.putName(mirror, "run", runId, there);
  if (toldWhole.size > 10_000) toldWhole.clear();
  toldWhole.set(runId, upTo);
  return there;
}

async function putRun(
  delivery: TrackingDelivery,
  { run }: SourceRun,
  known: string | undefined,
  depth = 0,
): Promise<string> {
  const { record, tracker, mirror, signal } = delivery;
  const experiment = await record.trackedReads.experiment(run.experimentId);
  const name = await record.mirrors.nameOf(mirror, "experiment", run.experimentId);
  const isGone = experiment?.lifecycle === "deleted";
  const experimentId = name !== undefined && !isGone ? name : await putExperiment(delivery, run.experimentId, "active");
  const { parentRunId, ...rest } = run;
  const parent = parentRunId === undefined || depth > 100 ? undefined : await parentOf(delivery, parentRunId, depth);
  const there = { ...rest, experimentId, ...(parent === undefined ? {} : { parentRunId: parent }) };
  const id = await tracker.putRun(there, known, { signal });
  if (isGone) await putExperiment(delivery, run.experimentId);
  return id;
}

async function parentOf(delivery: TrackingDelivery, parentRunId: string, depth: number): Promise<string | undefined> {
  const known = await delivery.record.mirrors.nameOf(delivery.mirror, "run", parentRunId);
  if (known !== undefined) return known;
  const parent = await delivery.record.trackedReads.run(parentRunId);
  // Made first, because a child names it; all of its content follows with its own changes.
  return parent === undefined ? undefined : putRun(delivery, parent, undefined, depth + 1);
}

async function linksOf({ record, mirror }: TrackingDelivery, { models }: SourceRun): Promise<SourceRun["models"]> {
  const links = await Promise.all(
    models.map(async (link) => ({
      ...link,
      modelId: await record.mirrors.nameOf(mirror, "logged-model", link.modelId),
    })),
  );
  return links.flatMap(({ modelId, ...link }) => (modelId === undefined ? [] : [{ ...link, modelId }]));
}

async function tellModel(delivery: TrackingDelivery, modelId: string): Promise<string | undefined> {
  const { record, tracker, mirror, signal } = delivery;
  const found = await record.trackedReads.loggedModel(modelId);
  if (found === undefined) return undefined;
  const { runId, ...model } = found.model;
  const experimentId = await putExperiment(delivery, model.experimentId, "active");
  const source = runId === undefined ? undefined : await runThere(delivery, runId);
  const metrics = await Promise.all(
    model.metrics.map(async (one) => ({ ...one, runId: (await runThere(delivery, one.runId)) ?? "" })),
  );
  const known = await record.mirrors.nameOf(mirror, "logged-model", modelId);
  try {
    const there = await tracker.putModel(
      { ...model, metrics, experimentId, ...(source === undefined ? {} : { runId: source }) },
      known,
      { signal },
    );
    await record.mirrors.putName(mirror, "logged-model", modelId, there);
    // The link between run and model may have been told before the model had a name over there.
    const run = runId === undefined ? undefined : await record.trackedReads.run(runId);
    if (source !== undefined && run !== undefined) {
      await tracker.log(source, { models: await linksOf(delivery, run) }, { signal });
    }
    return there;
  } catch (error) {
    if (!isEspalierError(error) || error.code !== "UNSUPPORTED") throw error;
    delivery.refused(`${modelId}: the server has no logged models`);
    return undefined;
  }
}

async function runThere(delivery: TrackingDelivery, runId: string): Promise<string | undefined> {
  const known = await delivery.record.mirrors.nameOf(delivery.mirror, "run", runId);
  if (known !== undefined) return known;
  const found = await delivery.record.trackedReads.run(runId);
  return found === undefined ? undefined : tellWhole(delivery, found);
}

async function tellFile(delivery: TrackingDelivery, change: Extract<TrackingChange, { kind: "file" }>): Promise<void> {
  const { record, tracker, mirror, signal, folders } = delivery;
  const { subject, owner, path } = change;
  const id =
    owner === "run"
      ? await runThere(delivery, subject)
      : ((await record.mirrors.nameOf(mirror, "logged-model", subject)) ?? (await tellModel(delivery, subject)));
  const uri =
    owner === "run"
      ? (await record.trackedReads.run(subject))?.artifactUri
      : (await record.trackedReads.loggedModel(subject))?.artifactUri;
  const root = uri === undefined ? undefined : proxyPathOf(uri);
  // Deleted since: there is nothing left to tell of it.
  const file = id === undefined || root === undefined ? undefined : await folders.find(`${root}/${path}`);
  if (id === undefined || file === undefined) return;
  try {
    await tracker.putFile({ kind: owner, id }, { path, size: file.size, open: () => file.open() }, { signal });
  } catch (error) {
    if (!isEspalierError(error) || error.code !== "UNSUPPORTED") throw error;
    delivery.refused(`${subject}: ${path}`, error);
  }
}
