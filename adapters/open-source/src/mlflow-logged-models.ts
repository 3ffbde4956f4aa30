import type { CallContext, TrackedModel } from "@espalier/core";
import { z } from "zod";
import type { MlflowApi } from "./mlflow-client.ts";
import { orAbsent } from "./mlflow-errors.ts";
import { chunks, keyValues, mostMetricsABatch, mostParamsABatch, quoted } from "./mlflow-limits.ts";

const modelTag = "espalier.model_id";

const modelInfo = z.object({
  info: z.object({ model_id: z.string() }),
  data: z.object({ params: z.array(z.object({ key: z.string() })).default([]) }).prefault({}),
});
type Found = z.infer<typeof modelInfo>;
const modelAnswer = z.object({ model: modelInfo });
const searchAnswer = z.object({ models: z.array(modelInfo).default([]) });

const statuses: Readonly<Record<string, string>> = {
  READY: "LOGGED_MODEL_READY",
  FAILED: "LOGGED_MODEL_UPLOAD_FAILED",
};

/** A logged model of MLflow 3, with its parameters, tags and metrics. UNSUPPORTED by an MLflow 2 server. */
export async function putLoggedModel(
  api: MlflowApi,
  model: TrackedModel,
  known: string | undefined,
  context?: CallContext,
): Promise<string> {
  const found = await find(api, model, known, context);
  const id = found?.info.model_id ?? (await create(api, model, context));
  const path = `mlflow/logged-models/${encodeURIComponent(id)}`;
  // Its parameters can not change, and the server fails on one that it has.
  const told = new Set(found?.data.params.map((param) => param.key));
  const untold = keyValues(model.params, "param").filter(({ key }) => !told.has(key));
  for (const params of chunks(untold, mostParamsABatch)) {
    await api.send("POST", `${path}/params`, { model_id: id, params }, context);
  }
  const tags = keyValues({ ...model.tags, [modelTag]: model.id }, "tag").filter(
    ({ key }) => key !== "mlflow.modelVersions",
  );
  await api.send("PATCH", `${path}/tags`, { model_id: id, tags }, context);
  for (const [runId, metrics] of byRun(model)) {
    for (const some of chunks(metrics, mostMetricsABatch)) {
      const metricsTold = some.map(({ runId: _, datasetName, datasetDigest, ...point }) => ({
        ...point,
        model_id: id,
        ...(datasetName === undefined ? {} : { dataset_name: datasetName }),
        ...(datasetDigest === undefined ? {} : { dataset_digest: datasetDigest }),
      }));
      await api.send("POST", "mlflow/runs/log-batch", { run_id: runId, metrics: metricsTold }, context);
    }
  }
  const status = statuses[model.status];
  if (status !== undefined) await api.send("PATCH", path, { model_id: id, status }, context);
  return id;
}

async function find(
  api: MlflowApi,
  model: TrackedModel,
  known: string | undefined,
  context?: CallContext,
): Promise<Found | undefined> {
  if (known !== undefined) {
    const byId = await orAbsent(api.get(`mlflow/logged-models/${encodeURIComponent(known)}`, {}, context));
    if (byId !== undefined) return modelAnswer.parse(byId).model;
  }
  const answer = await api.send(
    "POST",
    "mlflow/logged-models/search",
    { experiment_ids: [model.experimentId], filter: `tags.\`${modelTag}\` = ${quoted(model.id)}`, max_results: 1 },
    context,
  );
  return searchAnswer.parse(answer).models[0];
}

async function create(api: MlflowApi, model: TrackedModel, context?: CallContext): Promise<string> {
  const answer = await api.send(
    "POST",
    "mlflow/logged-models",
    {
      experiment_id: model.experimentId,
      name: model.name,
      ...(model.type === undefined ? {} : { model_type: model.type }),
      ...(model.runId === undefined ? {} : { source_run_id: model.runId }),
      tags: [{ key: modelTag, value: model.id }],
    },
    context,
  );
  return modelAnswer.parse(answer).model.info.model_id;
}

function byRun({ metrics }: TrackedModel): Map<string, TrackedModel["metrics"][number][]> {
  const runs = new Map<string, TrackedModel["metrics"][number][]>();
  for (const metric of metrics) {
    if (metric.runId === "") continue;
    const some = runs.get(metric.runId);
    if (some === undefined) runs.set(metric.runId, [metric]);
    else some.push(metric);
  }
  return runs;
}
