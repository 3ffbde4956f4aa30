import type { ControlPlane } from "../../control-plane.ts";
import type { LogEntry, LogOutcome } from "../../db/queries/tracking/log-entry.ts";
import { metricOf, paramOf, runIdOf, tagOf } from "../entries.ts";
import { type Fields, fieldsList } from "../fields.ts";
import { invalidParameter, limits, requireBatch, requireRunId } from "../limits.ts";
import { mlflowError } from "../mlflow-error.ts";
import type { MlflowCall, MlflowRoute } from "../mlflow-route.ts";
import { requireExperiment } from "../scope.ts";
import { deletedRun, missingRun } from "../tracked.ts";

/** What a training loop sends all the time: metrics, parameters and tags of runs. */
export function loggingRoutes({ record }: ControlPlane): MlflowRoute[] {
  const route = (name: string, read: (fields: Fields) => Omit<LogEntry, "runId" | "within">): MlflowRoute => ({
    method: "POST",
    path: `/mlflow/runs/${name}`,
    api: "2.0",
    access: "write",
    audited: false,
    bodyLimit: largestBody,
    handle: async ({ fields, scope }: MlflowCall) => {
      const runId = runIdOf(fields);
      const entry = read(fields);
      const within = scope.kind === "experiment" ? scope.experimentId : undefined;
      const outcome = await record.tracking.log({ runId, within, ...entry });
      if (outcome.kind !== "logged") refuse(outcome, runId, scope, name === "log-batch");
      return "{}";
    },
  });
  const none = { metrics: [], params: [], tags: [] };
  return [
    route("log-metric", (fields) => ({ ...none, metrics: [metricOf(fields)] })),
    route("log-parameter", (fields) => ({ ...none, params: [paramOf(fields)] })),
    route("set-tag", (fields) => ({ ...none, tags: [tagOf(fields)] })),
    route("log-batch", readBatch),
  ];
}

/** MLflow means 1 MB and takes more, since it measures wrongly; 1,000 long metrics with a data set each are about 1.3 MB. */
const largestBody = 16 * 1024 * 1024;

function readBatch(fields: Fields): Omit<LogEntry, "runId" | "within"> {
  requireRunId(runIdOf(fields));
  const metrics = fieldsList(fields, "metrics");
  const params = fieldsList(fields, "params");
  const tags = fieldsList(fields, "tags");
  requireBatch("metrics", limits.metricsABatch, metrics.length);
  requireBatch("params", limits.paramsABatch, params.length);
  requireBatch("tags", limits.tagsABatch, tags.length);
  requireBatch("metrics, params, and tags", limits.entitiesABatch, metrics.length + params.length + tags.length);
  const entry = {
    metrics: metrics.map((one, index) => metricOf(one, `metrics[${index}]`)),
    params: params.map((one, index) => paramOf(one, `params[${index}]`)),
    tags: tags.map((one, index) => tagOf(one, `tags[${index}]`)),
  };
  const keys = entry.params.map(({ key }) => key);
  const repeated = keys.filter((key, index) => keys.indexOf(key) !== index);
  if (repeated.length > 0) {
    invalidParameter(
      `Duplicate parameter keys have been submitted: [${repeated.map((key) => `'${key}'`).join(", ")}]. Please ensure the request contains only one param value per param key.`,
    );
  }
  return entry;
}

function refuse(
  outcome: Exclude<LogOutcome, { kind: "logged" }>,
  runId: string,
  scope: MlflowCall["scope"],
  isBatch: boolean,
): never {
  if (outcome.kind === "missing") missingRun(runId);
  if (outcome.kind === "deleted") deletedRun(runId);
  if (outcome.kind === "foreign") {
    requireExperiment(scope, outcome.experimentId);
    throw mlflowError("PERMISSION_DENIED", "The run belongs to another experiment");
  }
  const [first] = outcome.params;
  if (!isBatch && first !== undefined) {
    return invalidParameter(
      `Changing param values is not allowed. Param with key='${first.key}' was already logged with value='${first.stored}' for run ID='${runId}'. Attempted logging new value '${first.given}'.`,
    );
  }
  const shown = outcome.params.map(
    ({ key, stored, given }) => `{'key': '${key}', 'old_value': '${stored}', 'new_value': '${given}'}`,
  );
  return invalidParameter(
    `Changing param values is not allowed. Params were already logged='[${shown.join(", ")}]' for run ID='${runId}'.`,
  );
}
