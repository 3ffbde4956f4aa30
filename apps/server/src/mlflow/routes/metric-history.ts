import type { ControlPlane } from "../../control-plane.ts";
import type { RunPoint } from "../../db/queries/tracking/history.ts";
import { runIdOf } from "../entries.ts";
import { type Fields, optionalCount, optionalInteger, optionalText, requiredText, textList } from "../fields.ts";
import { invalidParameter, limits } from "../limits.ts";
import type { MlflowRoute } from "../mlflow-route.ts";
import { metricDocument } from "../run-document.ts";
import { type ExperimentScope, requireExperiment } from "../scope.ts";

/** Histories of metrics: paged, of several runs at once, and sampled for charts. A run that is not there has none. */
export function metricHistoryRoutes({ record }: ControlPlane): MlflowRoute[] {
  const { history, runs } = record.tracking;

  const requireRuns = async (scope: ExperimentScope, ids: readonly string[]): Promise<void> => {
    if (scope.kind === "project") return;
    for (const id of ids) {
      const run = await runs.info(id);
      if (run !== undefined) requireExperiment(scope, run.experimentId);
    }
  };
  const route = (name: string, handle: MlflowRoute["handle"]): MlflowRoute => ({
    method: "GET",
    path: `/mlflow/metrics/${name}`,
    api: "2.0",
    access: "read",
    handle,
  });

  return [
    route("get-history", async ({ fields, scope }) => {
      const runId = runIdOf(fields);
      const key = requiredText(fields, "metric_key");
      const token = optionalText(fields, "page_token");
      const limit = pageSize(fields);
      await requireRuns(scope, [runId]);
      const { points, next } = await history.page(runId, key, limit, token || undefined);
      return JSON.stringify({
        ...(points.length === 0 ? {} : { metrics: points.map(metricDocument) }),
        ...(next === undefined ? {} : { next_page_token: next }),
      });
    }),
    route("get-history-bulk", async ({ fields, scope }) => {
      const ids = textList(fields, "run_id");
      if (ids.length === 0) invalidParameter("GetMetricHistoryBulk request must specify at least one run_id.");
      if (ids.length > limits.runsOfBulkHistory) {
        invalidParameter(
          `GetMetricHistoryBulk request cannot specify more than ${limits.runsOfBulkHistory} run_ids. Received ${ids.length} run_ids.`,
        );
      }
      const key = optionalText(fields, "metric_key");
      if (key === undefined) return invalidParameter("GetMetricHistoryBulk request must specify a metric_key.");
      const limit = pageSize(fields);
      await requireRuns(scope, ids);
      return JSON.stringify({ metrics: (await history.ofRuns(ids, key, limit)).map(ofRunDocument) });
    }),
    route("get-history-bulk-interval", async ({ fields, scope, signal }) => {
      const ids = [...new Set(textList(fields, "run_ids"))];
      if (ids.length === 0) requiredText(fields, "run_ids");
      if (ids.length > limits.runsOfBulkHistory) {
        invalidParameter(
          `GetMetricHistoryBulkInterval request must specify at most ${limits.runsOfBulkHistory} run_ids. Received ${ids.length} run_ids. ${docs}`,
        );
      }
      const key = requiredText(fields, "metric_key");
      const steps = stepsOf(fields);
      const limit = optionalCount(fields, "max_results") ?? limits.pointsOfBulkInterval;
      if (limit < 1 || limit > limits.pointsOfBulkInterval) {
        invalidParameter(`max_results must be between 1 and ${limits.pointsOfBulkInterval}. ${docs}`);
      }
      await requireRuns(scope, ids);
      const metrics: object[] = [];
      for (const id of ids) {
        signal.throwIfAborted();
        for (const point of await history.sample(id, key, limit, steps)) metrics.push(ofRunDocument(point));
      }
      return JSON.stringify(metrics.length === 0 ? {} : { metrics });
    }),
  ];
}

const docs = "See the API docs for more information about request parameters.";

/** MLflow's own server answers all at once when no size is given; here that is a page like any other, with a token for the rest. */
function pageSize(fields: Fields): number {
  const size = optionalCount(fields, "max_results");
  if (size !== undefined && size <= 0) {
    invalidParameter(`Invalid value ${size} for parameter 'max_results' supplied. It must be a positive integer.`);
  }
  return Math.min(size ?? limits.pointsOfBulkHistory, limits.pointsOfBulkHistory);
}

function stepsOf(fields: Fields): readonly [number | bigint, number | bigint] | undefined {
  const from = optionalInteger(fields, "start_step");
  const to = optionalInteger(fields, "end_step");
  if (from === undefined && to === undefined) return undefined;
  if (from === undefined || to === undefined) {
    return invalidParameter("If either start step or end step are specified, both must be specified.");
  }
  if (from > to) {
    invalidParameter(`end_step must be greater than start_step. Found start_step=${from} and end_step=${to}.`);
  }
  return [from, to];
}

function ofRunDocument({ runId, ...point }: RunPoint): object {
  return { ...metricDocument(point), run_id: runId };
}
