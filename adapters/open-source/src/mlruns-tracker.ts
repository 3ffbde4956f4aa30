import type { RunContent, TrackedExperiment, TrackedModel, TrackedRun, TrackerMirror } from "@espalier/core";
import { EspalierError } from "@espalier/core";
import { createMlrunsFiles, pythonFloat, shortHash } from "./mlruns-files.ts";

/** Numbers of MLflow's enumerations, which its file store keeps (mlflow/protos/service.proto). */
const runStatuses: Readonly<Record<string, number>> = { RUNNING: 1, SCHEDULED: 2, FINISHED: 3, FAILED: 4, KILLED: 5 };
const modelStatuses: Readonly<Record<string, number>> = { PENDING: 1, READY: 2, FAILED: 3 };
const localSource = 4;
/** Ties a run over there to ours, as the mirror does: one that came with an import is replaced by it. */
const runTag = "espalier.run_id";

export interface MlrunsTracker extends TrackerMirror {
  /** Folder of a run or a logged model. NOT_FOUND. */
  placeOf(id: string): Promise<string>;
}

/**
 * Experiments, runs and logged models as MLflow's file store, so that a stock `mlflow ui` started in the folder that holds `root` shows them. Ids are ours. Places of files
 * are relative to that folder: it may be moved.
 */
export function createMlrunsTracker(folder: string, root: string): MlrunsTracker {
  const files = createMlrunsFiles(folder);
  const places = new Map<string, string>();
  /** Of what an earlier try put, the folder is looked for. */
  async function placeOf(id: string): Promise<string> {
    const known = places.get(id);
    if (known !== undefined) return known;
    for (const experiment of await files.folders("")) {
      for (const parent of [experiment, `${experiment}/models`]) {
        if (!(await files.folders(parent)).includes(id)) continue;
        places.set(id, `${parent}/${id}`);
        return `${parent}/${id}`;
      }
    }
    throw new EspalierError("NOT_FOUND", `The folder has no run or model ${id}`, { at: folder });
  }

  async function tagsOf(place: string, tags: RunContent["tags"] = {}): Promise<string[]> {
    const refused: string[] = [];
    for (const [key, value] of Object.entries(tags)) {
      if (key === runTag) continue;
      if (value === null) await files.remove(`${place}/tags/${key}`);
      else if (!(await files.text(`${place}/tags`, key, value))) refused.push(key);
    }
    return refused;
  }

  return {
    placeOf,

    check: async () => ({ version: "file store" }),

    async putExperiment(experiment: TrackedExperiment) {
      const { id, name, lifecycle, tags, createdAt, updatedAt } = experiment;
      await files.meta(id, {
        artifact_location: `${root}/${id}`,
        creation_time: createdAt ?? 0,
        experiment_id: id,
        last_update_time: updatedAt ?? createdAt ?? 0,
        lifecycle_stage: lifecycle,
        name,
      });
      await tagsOf(id, tags);
      return id;
    },

    async putRun(run: TrackedRun) {
      const place = `${run.experimentId}/${run.id}`;
      places.set(run.id, place);
      // A run that was cut off is told from its beginning, and points are appended: what was there would stand twice.
      if (run.lifecycle === "active") await files.remove(`${place}/metrics`);
      await files.meta(place, {
        artifact_uri: `${root}/${place}/artifacts`,
        end_time: run.endTime ?? null,
        entry_point_name: "",
        experiment_id: run.experimentId,
        lifecycle_stage: run.lifecycle,
        run_id: run.id,
        run_name: run.name,
        run_uuid: run.id,
        source_name: "",
        source_type: localSource,
        source_version: "",
        start_time: run.startTime,
        status: runStatuses[run.status] ?? runStatuses["RUNNING"],
        tags: [],
        user_id: run.user,
      });
      await files.text(`${place}/tags`, runTag, run.id);
      if (run.parentRunId !== undefined) await files.text(`${place}/tags`, "mlflow.parentRunId", run.parentRunId);
      return run.id;
    },

    async log(runId, { params = {}, tags, points = [], inputs = [], models = [] }) {
      const place = await placeOf(runId);
      const [experiment = ""] = place.split("/");
      const refused = await tagsOf(place, tags);
      for (const [key, value] of Object.entries(params)) {
        if (!(await files.text(`${place}/params`, key, value))) refused.push(key);
      }
      const lines = new Map<string, string>();
      for (const { key, value, step, timestamp } of points) {
        lines.set(key, `${lines.get(key) ?? ""}${timestamp} ${pythonFloat(value)} ${step}\n`);
      }
      for (const [key, text] of lines) if (!(await files.append(`${place}/metrics`, key, text))) refused.push(key);
      for (const { name, digest, sourceType, source, schema, profile, tags: inputTags } of inputs) {
        const id = shortHash(name, digest);
        await files.meta(`${experiment}/datasets/${id}`, {
          digest,
          name,
          profile: profile ?? null,
          schema: schema ?? null,
          source,
          source_type: sourceType,
        });
        await files.meta(`${place}/inputs/${shortHash(id, runId)}`, {
          destination_id: runId,
          destination_type: "RUN",
          source_id: id,
          source_type: "DATASET",
          tags: inputTags,
        });
      }
      for (const { modelId, direction, step } of models) {
        const isInput = direction === "input";
        await files.meta(`${place}/${isInput ? "inputs" : "outputs"}/${modelId}`, {
          destination_id: isInput ? runId : modelId,
          destination_type: isInput ? "RUN" : "MODEL_OUTPUT",
          source_id: isInput ? modelId : runId,
          source_type: isInput ? "MODEL" : "RUN_OUTPUT",
          step: Number(step),
          tags: {},
        });
      }
      return { refused };
    },

    async putModel(model: TrackedModel) {
      const place = `${model.experimentId}/models/${model.id}`;
      places.set(model.id, place);
      await files.remove(`${place}/metrics`);
      await files.meta(place, {
        artifact_location: `${root}/${place}/artifacts`,
        creation_timestamp: model.createdAt,
        experiment_id: model.experimentId,
        last_updated_timestamp: model.updatedAt,
        lifecycle_stage: "active",
        metrics: null,
        model_id: model.id,
        model_type: model.type ?? "",
        name: model.name,
        params: null,
        source_run_id: model.runId ?? "",
        status: modelStatuses[model.status] ?? modelStatuses["PENDING"],
        status_message: model.statusMessage ?? "",
        tags: null,
      });
      for (const [key, value] of Object.entries(model.params)) await files.text(`${place}/params`, key, value);
      await tagsOf(place, model.tags);
      for (const { key, value, step, timestamp, runId, datasetName, datasetDigest } of model.metrics) {
        const rest = [runId, datasetName, datasetDigest].filter((part) => part !== undefined && part !== "");
        await files.append(`${place}/metrics`, key, `${[timestamp, pythonFloat(value), step, ...rest].join(" ")}\n`);
      }
      return model.id;
    },

    putFile: async (home, file) => files.file(`${await placeOf(home.id)}/artifacts`, file),
  };
}
