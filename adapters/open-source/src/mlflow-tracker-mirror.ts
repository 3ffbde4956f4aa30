import {
  type CallContext,
  EspalierError,
  isEspalierError,
  type TrackedExperiment,
  type TrackedModel,
  type TrackedRun,
  type TrackerMirror,
} from "@espalier/core";
import { z } from "zod";
import type { MlflowApi } from "./mlflow-client.ts";
import { orAbsent } from "./mlflow-errors.ts";
import { mlflowHomes } from "./mlflow-homes.ts";
import { cut, keyValues, quoted } from "./mlflow-limits.ts";
import { putLoggedModel } from "./mlflow-logged-models.ts";
import { logToRun } from "./mlflow-run-content.ts";

export interface MlflowTrackerOptions {
  /** The project, so that two of them may share a server. */
  project: string;
  experimentPrefix?: string;
  /** false: `putFile` is UNSUPPORTED. */
  files?: boolean;
}

const experimentAnswer = z.object({
  experiment: z.object({
    experiment_id: z.coerce.string(),
    name: z.string(),
    lifecycle_stage: z.string().default("active"),
    tags: z.array(z.object({ key: z.string(), value: z.string().default("") })).default([]),
  }),
});
const runAnswer = z.object({
  run: z.object({ info: z.object({ run_id: z.string(), lifecycle_stage: z.string().default("active") }) }),
});
const searchAnswer = z.object({
  runs: z
    .array(z.object({ info: z.object({ run_id: z.string(), lifecycle_stage: z.string().default("active") }) }))
    .default([]),
});

const experimentTag = "espalier.experiment_id";
const runTag = "espalier.run_id";

/** Tags whose values are ids of ours, told by `putRun` with those over there. */
const ownTags = new Set(["mlflow.parentRunId", runTag]);

export function createMlflowTrackerMirror(api: MlflowApi, options: MlflowTrackerOptions): TrackerMirror {
  const homes = mlflowHomes(api);
  return {
    putExperiment: (experiment, known, context) => putExperiment(api, options, experiment, known, context),
    putRun: (run, known, context) => putRun(api, run, known, context),
    log: async (runId, content, context) => {
      const tags = Object.fromEntries(Object.entries(content.tags ?? {}).filter(([key]) => !ownTags.has(key)));
      return whileActive(api, runId, context, () => logToRun(api, runId, { ...content, tags }, context));
    },
    putModel: (model: TrackedModel, known, context) => putLoggedModel(api, model, known, context),
    putFile: async (home, file, context) => {
      if (options.files === false) throw new EspalierError("UNSUPPORTED", "This mirror carries no files");
      await homes.put(home, file, context);
    },
    check: async (context) => {
      await api.send("POST", "mlflow/experiments/search", { max_results: 1 }, context);
      return { version: await api.version(context) };
    },
  };
}

async function putExperiment(
  api: MlflowApi,
  { project, experimentPrefix = "" }: MlflowTrackerOptions,
  experiment: TrackedExperiment,
  known: string | undefined,
  context?: CallContext,
): Promise<string> {
  const name = experimentPrefix + experiment.name;
  const identity = `${project}/${experiment.id}`;
  const found = await findExperiment(api, name, known, context);
  const owner = found?.tags.find((tag) => tag.key === experimentTag)?.value;
  if (found !== undefined && found.experiment_id !== known && owner !== undefined && owner !== identity) {
    throw new EspalierError(
      "CONFLICT",
      `The MLflow server's experiment ${name} belongs to ${owner}, not to ${identity}`,
      {
        hint: "Give this mirror an `experiment_prefix`.",
      },
    );
  }
  const id = found?.experiment_id ?? (await create());
  async function create(): Promise<string> {
    const tags = [{ key: experimentTag, value: identity }];
    const answer = await api.send("POST", "mlflow/experiments/create", { name, tags }, context);
    return z.object({ experiment_id: z.coerce.string() }).parse(answer).experiment_id;
  }
  // A deleted experiment takes neither tags nor another name.
  if (found?.lifecycle_stage === "deleted")
    await api.send("POST", "mlflow/experiments/restore", { experiment_id: id }, context);
  if (found !== undefined && found.name !== name) {
    await api.send("POST", "mlflow/experiments/update", { experiment_id: id, new_name: name }, context);
  }
  const present = new Map(found?.tags.map((tag) => [tag.key, tag.value]));
  for (const { key, value } of keyValues({ ...experiment.tags, [experimentTag]: identity }, "experimentTag")) {
    if (present.get(key) === value) continue;
    await api.send("POST", "mlflow/experiments/set-experiment-tag", { experiment_id: id, key, value }, context);
  }
  if (experiment.lifecycle === "deleted")
    await api.send("POST", "mlflow/experiments/delete", { experiment_id: id }, context);
  return id;
}

type RemoteExperiment = z.infer<typeof experimentAnswer>["experiment"];

async function findExperiment(
  api: MlflowApi,
  name: string,
  known: string | undefined,
  context?: CallContext,
): Promise<RemoteExperiment | undefined> {
  if (known !== undefined) {
    const byId = await orAbsent(api.get("mlflow/experiments/get", { experiment_id: known }, context));
    if (byId !== undefined) return experimentAnswer.parse(byId).experiment;
  }
  const byName = await orAbsent(api.get("mlflow/experiments/get-by-name", { experiment_name: name }, context));
  return byName === undefined ? undefined : experimentAnswer.parse(byName).experiment;
}

async function putRun(
  api: MlflowApi,
  run: TrackedRun,
  known: string | undefined,
  context?: CallContext,
): Promise<string> {
  const found = await findRun(api, run, known, context);
  const id = found?.run_id ?? (await createRun(api, run, context));
  if (found?.lifecycle_stage === "deleted") await api.send("POST", "mlflow/runs/restore", { run_id: id }, context);
  await api.send(
    "POST",
    "mlflow/runs/update",
    {
      run_id: id,
      status: run.status,
      run_name: run.name,
      ...(run.endTime === undefined ? {} : { end_time: run.endTime }),
    },
    context,
  );
  if (run.lifecycle === "deleted") await api.send("POST", "mlflow/runs/delete", { run_id: id }, context);
  return id;
}

async function findRun(
  api: MlflowApi,
  run: TrackedRun,
  known: string | undefined,
  context?: CallContext,
): Promise<{ run_id: string; lifecycle_stage: string } | undefined> {
  if (known !== undefined) {
    const byId = await orAbsent(api.get("mlflow/runs/get", { run_id: known }, context));
    if (byId !== undefined) return runAnswer.parse(byId).run.info;
  }
  const answer = await api.send(
    "POST",
    "mlflow/runs/search",
    {
      experiment_ids: [run.experimentId],
      filter: `tags.\`${runTag}\` = ${quoted(run.id)}`,
      run_view_type: "ALL",
      max_results: 1,
    },
    context,
  );
  return searchAnswer.parse(answer).runs[0]?.info;
}

async function createRun(api: MlflowApi, run: TrackedRun, context?: CallContext): Promise<string> {
  const tags = {
    [runTag]: run.id,
    ...(run.parentRunId === undefined ? {} : { "mlflow.parentRunId": run.parentRunId }),
  };
  const answer = await api.send(
    "POST",
    "mlflow/runs/create",
    {
      experiment_id: run.experimentId,
      user_id: run.user,
      run_name: cut(run.name, "tag"),
      start_time: run.startTime,
      tags: keyValues(tags, "tag"),
    },
    context,
  );
  return runAnswer.parse(answer).run.info.run_id;
}

/** MLflow refuses to write to a deleted run; ours may have been deleted after what is still to be told of it. */
async function whileActive<Answer>(
  api: MlflowApi,
  runId: string,
  context: CallContext | undefined,
  work: () => Promise<Answer>,
): Promise<Answer> {
  try {
    return await work();
  } catch (error) {
    if (!isEspalierError(error) || error.code !== "INVALID_INPUT" || !/'active' state/.test(error.message)) throw error;
    await api.send("POST", "mlflow/runs/restore", { run_id: runId }, context);
    const answer = await work();
    await api.send("POST", "mlflow/runs/delete", { run_id: runId }, context);
    return answer;
  }
}
