import {
  EspalierError,
  type SourceModel,
  type SourceRun,
  type TrackedExperiment,
  type TrackedInput,
  type TrackedModelLink,
  type TrackedModelMetric,
  type TrackedPoint,
  type TrackedSource,
} from "@espalier/core";
import { loggedModelStatus } from "./logged-model-status.ts";
import { checked, metaOf, noMeta, texts } from "./mlruns-files.ts";
import { readRegistry } from "./mlruns-registry.ts";
import { datasetMeta, experimentMeta, inputMeta, modelMeta, readMetricLine, runMeta } from "./mlruns-shapes.ts";
import { openStoreFolder, type StoreFolder } from "./store-folder.ts";
import { whatIsAStore } from "./what-is-a-store.ts";

/** Folders of an experiment that are no runs. */
const reserved = new Set(["tags", "datasets", "traces", "models"]);
const pointsABatch = 5000;

/** MLflow's file store. INVALID_INPUT: the folder holds no experiment. */
export async function openMlruns(directory: string): Promise<TrackedSource> {
  const folder = await openStoreFolder(directory);
  const places = await findExperiments(folder);
  if (places.size === 0) {
    throw new EspalierError(
      "INVALID_INPUT",
      `${directory} is no MLflow store: no folder in it has a meta.yaml of an experiment`,
      {
        hint: whatIsAStore,
      },
    );
  }
  const placeOf = (experimentId: string): string => places.get(experimentId) ?? experimentId;

  async function* experiments(): AsyncGenerator<TrackedExperiment> {
    for (const [id, place] of places) {
      const meta = await metaOf(folder, `${place}/meta.yaml`, experimentMeta);
      yield {
        id,
        name: meta.name,
        lifecycle: place.startsWith(".trash/") ? "deleted" : meta.lifecycle_stage,
        tags: await texts(folder, `${place}/tags`),
        ...(typeof meta.creation_time === "number" ? { createdAt: meta.creation_time } : {}),
        ...(typeof meta.last_update_time === "number" ? { updatedAt: meta.last_update_time } : {}),
      };
    }
  }

  async function* runs(experimentId: string): AsyncGenerator<SourceRun> {
    const experiment = placeOf(experimentId);
    for (const name of await folder.folders(experiment)) {
      if (!reserved.has(name) && !name.startsWith(".")) yield readRun(folder, experimentId, experiment, name);
    }
  }

  async function* points({ run, metricKeys }: SourceRun): AsyncGenerator<TrackedPoint[]> {
    for (const key of metricKeys) {
      const path = `${placeOf(run.experimentId)}/${run.id}/metrics/${key}`;
      let batch: TrackedPoint[] = [];
      for await (const { rest: _, ...point } of metricLines(folder, path, key)) {
        batch.push(point);
        if (batch.length < pointsABatch) continue;
        yield batch;
        batch = [];
      }
      if (batch.length > 0) yield batch;
    }
  }

  async function* loggedModels(experimentId: string): AsyncGenerator<SourceModel> {
    const place = `${placeOf(experimentId)}/models`;
    for (const id of await folder.folders(place)) {
      const model = await readModel(folder, experimentId, `${place}/${id}`);
      if (model !== undefined) yield model;
    }
  }

  return {
    identity: folder.path,
    description: `MLflow file store ${folder.path}`,
    losses: () => [
      "deleted logged models are not imported",
      "traces and assessments are not imported",
      ...folder.refused.map((path) => `${path} is a link that leads out of the folder: not followed`),
    ],
    check: async () => {
      for await (const { id } of experiments()) {
        for await (const run of runs(id)) for await (const _ of points(run));
        for await (const _ of loggedModels(id));
      }
      for await (const { name } of readRegistry(folder).models())
        for await (const _ of readRegistry(folder).versions(name));
    },
    experiments,
    runs,
    points,
    files: (owner) =>
      folder.tracked(
        "run" in owner
          ? `${placeOf(owner.run.experimentId)}/${owner.run.id}/artifacts`
          : `${placeOf(owner.model.experimentId)}/models/${owner.model.id}/artifacts`,
      ),
    loggedModels,
    registeredModels: () => readRegistry(folder).models(),
    versions: (name) => readRegistry(folder).versions(name),
    close: async () => undefined,
  };
}

/** Id to folder; deleted ones lie in the trash. */
async function findExperiments(folder: StoreFolder): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  for (const parent of ["", ".trash"]) {
    for (const name of await folder.folders(parent)) {
      const place = parent === "" ? name : `${parent}/${name}`;
      if (name.startsWith(".") || (parent === "" && name === "models")) continue;
      const meta = await folder.yaml(`${place}/meta.yaml`);
      if (meta === undefined) {
        // A folder of a number is an experiment's; anything else may lie beside them.
        if (/^\d+$/.test(name) && (await folder.folders(place)).length > 0) throw noMeta(folder, place);
        continue;
      }
      if (!("experiment_id" in meta)) continue;
      found.set(checked(folder, `${place}/meta.yaml`, experimentMeta, meta).experiment_id, place);
    }
  }
  return found;
}

async function readRun(
  folder: StoreFolder,
  experimentId: string,
  experiment: string,
  name: string,
): Promise<SourceRun> {
  const place = `${experiment}/${name}`;
  const meta = await metaOf(folder, `${place}/meta.yaml`, runMeta);
  const tags = await texts(folder, `${place}/tags`);
  const parent = tags["mlflow.parentRunId"];
  const metricKeys: string[] = [];
  for await (const file of folder.files(`${place}/metrics`)) metricKeys.push(file.path);
  const { inputs, models } = await readLinks(folder, experiment, place);
  return {
    run: {
      id: meta.run_id ?? meta.run_uuid ?? name,
      experimentId,
      name: meta.run_name || tags["mlflow.runName"] || meta.name || name,
      user: meta.user_id || tags["mlflow.user"] || "",
      status: meta.status,
      lifecycle: meta.lifecycle_stage,
      startTime: meta.start_time ?? 0,
      ...(typeof meta.end_time === "number" ? { endTime: meta.end_time } : {}),
      ...(parent === undefined ? {} : { parentRunId: parent }),
    },
    params: await texts(folder, `${place}/params`),
    tags,
    metricKeys,
    inputs,
    models,
    artifactUri: meta.artifact_uri,
  };
}

async function readLinks(
  folder: StoreFolder,
  experiment: string,
  place: string,
): Promise<{ inputs: TrackedInput[]; models: TrackedModelLink[] }> {
  const inputs: TrackedInput[] = [];
  const models: TrackedModelLink[] = [];
  for (const name of await folder.folders(`${place}/inputs`)) {
    const link = await metaOf(folder, `${place}/inputs/${name}/meta.yaml`, inputMeta);
    if (link.source_type === "MODEL") models.push({ modelId: link.source_id, direction: "input", step: 0 });
    if (link.source_type !== "DATASET") continue;
    const meta = await metaOf(folder, `${experiment}/datasets/${link.source_id}/meta.yaml`, datasetMeta);
    inputs.push({
      name: meta.name,
      digest: meta.digest,
      sourceType: meta.source_type,
      source: meta.source,
      ...(meta.schema ? { schema: meta.schema } : {}),
      ...(meta.profile ? { profile: meta.profile } : {}),
      tags: link.tags,
    });
  }
  for (const name of await folder.folders(`${place}/outputs`)) {
    const link = await metaOf(folder, `${place}/outputs/${name}/meta.yaml`, inputMeta);
    models.push({ modelId: link.destination_id, direction: "output", step: link.step });
  }
  return { inputs, models };
}

async function readModel(folder: StoreFolder, experimentId: string, place: string): Promise<SourceModel | undefined> {
  const meta = await metaOf(folder, `${place}/meta.yaml`, modelMeta);
  if (meta.lifecycle_stage === "deleted") return undefined;
  const metrics: TrackedModelMetric[] = [];
  for await (const file of folder.files(`${place}/metrics`)) {
    for await (const { rest, ...point } of metricLines(folder, `${place}/metrics/${file.path}`, file.path)) {
      const [runId = "", datasetName, datasetDigest] = rest;
      metrics.push({
        ...point,
        runId,
        ...(datasetName === undefined ? {} : { datasetName }),
        ...(datasetDigest === undefined ? {} : { datasetDigest }),
      });
    }
  }
  return {
    model: {
      id: meta.model_id,
      experimentId,
      name: meta.name,
      ...(meta.source_run_id === "" ? {} : { runId: meta.source_run_id }),
      status: loggedModelStatus(meta.status),
      ...(meta.status_message === "" ? {} : { statusMessage: meta.status_message }),
      ...(meta.model_type === "" ? {} : { type: meta.model_type }),
      params: await texts(folder, `${place}/params`),
      tags: await texts(folder, `${place}/tags`),
      metrics,
      createdAt: meta.creation_timestamp,
      updatedAt: meta.last_updated_timestamp,
    },
    artifactUri: meta.artifact_location,
  };
}

async function* metricLines(
  folder: StoreFolder,
  path: string,
  key: string,
): AsyncGenerator<NonNullable<ReturnType<typeof readMetricLine>>> {
  let number = 0;
  for await (const line of folder.lines(path)) {
    number += 1;
    if (line.trim() === "") continue;
    const point = readMetricLine(key, line);
    if (point === undefined) {
      throw new EspalierError(
        "INVALID_DATA",
        `${folder.path}/${path}:${number} is no metric: ${JSON.stringify(line.slice(0, 80))}`,
        {
          at: `${folder.path}/${path}:${number}`,
          hint: "A line is `<ms> <value> <step>`. Was the folder copied while it was written?",
        },
      );
    }
    yield point;
  }
}
