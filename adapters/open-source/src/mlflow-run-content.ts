import { type CallContext, isEspalierError, type RunContent } from "@espalier/core";
import { z } from "zod";
import type { MlflowApi } from "./mlflow-client.ts";
import {
  chunks,
  cut,
  type KeyValue,
  keyValues,
  mostMetricsABatch,
  mostParamsABatch,
  mostTagsABatch,
} from "./mlflow-limits.ts";

/** Tells a run's content in as many requests as MLflow's limits make of it. Each may be repeated: the server knows a point it has. */
export async function logToRun(
  api: MlflowApi,
  runId: string,
  { params = {}, tags = {}, points = [], inputs = [], models = [] }: RunContent,
  context?: CallContext,
): Promise<{ refused: string[] }> {
  const batch = (content: object) => api.send("POST", "mlflow/runs/log-batch", { run_id: runId, ...content }, context);
  const refused: string[] = [];
  for (const some of chunks(keyValues(params, "param"), mostParamsABatch)) {
    try {
      await batch({ params: some });
    } catch (error) {
      if (!isEspalierError(error) || error.code !== "INVALID_INPUT" || some.length === 0) throw error;
      refused.push(...(await logOneByOne(api, runId, some, context)));
    }
  }
  const kept = Object.fromEntries(
    Object.entries(tags).flatMap(([key, value]) => (value === null ? [] : [[key, value] as const])),
  );
  for (const some of chunks(keyValues(kept, "tag"), mostTagsABatch)) await batch({ tags: some });
  for (const [key, value] of Object.entries(tags)) {
    if (value === null) await ignoreAbsent(api.send("POST", "mlflow/runs/delete-tag", { run_id: runId, key }, context));
  }
  for (const some of chunks(points, mostMetricsABatch)) {
    await batch({ metrics: some.map(({ key, value, step, timestamp }) => ({ key, value, step, timestamp })) });
  }
  const linked = models.length === 0 ? noLinks : await linksOf(api, runId, context);
  const read = models.filter((model) => model.direction === "input" && !linked.read.has(model.modelId));
  if (inputs.length + read.length > 0) {
    const datasets = inputs.map(({ tags: inputTags, sourceType, ...dataset }) => ({
      dataset: { ...dataset, source_type: sourceType },
      tags: keyValues(inputTags, "tag"),
    }));
    const modelInputs = read.length === 0 ? {} : { models: read.map(({ modelId }) => ({ model_id: modelId })) };
    await api.send("POST", "mlflow/runs/log-inputs", { run_id: runId, datasets, ...modelInputs }, context);
  }
  const made = models.filter((model) => model.direction === "output" && !linked.made.has(model.modelId));
  if (made.length > 0) {
    const outputs = made.map(({ modelId, step }) => ({ model_id: modelId, step }));
    await api.send("POST", "mlflow/runs/outputs", { run_id: runId, models: outputs }, context);
  }
  return { refused };
}

const modelIds = z.array(z.object({ model_id: z.string() })).default([]);
const linksAnswer = z.object({
  run: z.object({
    inputs: z.object({ model_inputs: modelIds }).prefault({}),
    outputs: z.object({ model_outputs: modelIds }).prefault({}),
  }),
});

interface Links {
  read: ReadonlySet<string>;
  made: ReadonlySet<string>;
}
const noLinks: Links = { read: new Set(), made: new Set() };

/** The server fails on a link that it has. */
async function linksOf(api: MlflowApi, runId: string, context?: CallContext): Promise<Links> {
  const { run } = linksAnswer.parse(await api.get("mlflow/runs/get", { run_id: runId }, context));
  const ids = (links: z.infer<typeof modelIds>): Set<string> => new Set(links.map((link) => link.model_id));
  return { read: ids(run.inputs.model_inputs), made: ids(run.outputs.model_outputs) };
}

/** A batch fails as a whole when one of its parameters has another value already; the others are still wanted. */
async function logOneByOne(
  api: MlflowApi,
  runId: string,
  params: readonly KeyValue[],
  context?: CallContext,
): Promise<string[]> {
  const refused: string[] = [];
  for (const { key, value } of params) {
    try {
      await api.send("POST", "mlflow/runs/log-parameter", { run_id: runId, key, value: cut(value, "param") }, context);
    } catch (error) {
      // A deleted run is no reason of the parameter's.
      if (!isEspalierError(error) || error.code !== "INVALID_INPUT" || /'active' state/.test(error.message))
        throw error;
      refused.push(key);
    }
  }
  return refused;
}

async function ignoreAbsent(answer: Promise<unknown>): Promise<void> {
  try {
    await answer;
  } catch (error) {
    if (!isEspalierError(error) || error.code !== "NOT_FOUND") throw error;
  }
}
