import type { ControlPlane } from "../../control-plane.ts";
import {
  asFields,
  fieldsList,
  missing,
  optionalBoolean,
  optionalId,
  optionalText,
  requiredText,
  textList,
} from "../fields.ts";
import { invalidParameter } from "../limits.ts";
import { empty, type MlflowRoute } from "../mlflow-route.ts";
import { experimentForNew, requireExperiment } from "../scope.ts";
import { changeRoutes } from "../traces/change-routes.ts";
import { correlation } from "../traces/correlation.ts";
import { refuseWrite, requireTrace, withinOf } from "../traces/known-trace.ts";
import { oldTraceRoutes } from "../traces/old-routes.ts";
import { readWholeTrace, readWholeTraces } from "../traces/read-spans.ts";
import { readTrace } from "../traces/read-trace.ts";
import { readTraceSearch, traceComparisons, writeToken } from "../traces/search-traces.ts";
import { traceDocument, traceText } from "../traces/trace-document.ts";
import { experimentIdOf } from "../tracked.ts";

/** A trace's first report holds previews and assessments. */
const largestBody = 8 * 1024 * 1024;
const mostIds = 100;
const mostTracesAtOnce = 1000;

/** Traces of both protocols that clients speak. */
export function tracesRoutes(plane: ControlPlane): MlflowRoute[] {
  const { traces } = plane.record;

  const start: MlflowRoute = {
    method: "POST",
    path: "/mlflow/traces",
    api: "3.0",
    access: "write",
    audited: false,
    bodyLimit: largestBody,
    handle: async ({ fields, scope }) => {
      const given = readTrace(fields, Date.now());
      const experimentId = experimentForNew(scope, given.experimentId);
      const metadata = [...given.metadata, { key: "mlflow.trace.infoFinalized", value: "true" }];
      const outcome = await traces.write({ ...given, experimentId, metadata }, true, withinOf(scope));
      if (outcome.kind !== "written") return refuseWrite(outcome, experimentId, scope);
      return { trace: { trace_info: traceDocument(outcome.trace) } };
    },
  };

  const read = (method: "GET" | "POST", path: string, handle: MlflowRoute["handle"]): MlflowRoute => ({
    method,
    path: `/mlflow/traces${path}`,
    api: "3.0",
    access: "read",
    handle,
  });

  return [
    start,
    read("GET", "/:trace_id", async ({ fields, scope }) => {
      const trace = await requireTrace(plane, scope, requiredText(fields, "trace_id"));
      return { trace: { trace_info: traceDocument(trace) } };
    }),
    read("GET", "/get", async (call) => {
      const id = requiredText(call.fields, "trace_id");
      const experimentId = await traces.experimentOf(id);
      if (experimentId !== undefined) requireExperiment(call.scope, experimentId);
      const allowPartial = optionalBoolean(call.fields, "allow_partial") === true;
      const { trace, spans } = await readWholeTrace(traces, id, allowPartial, call.signal);
      return `{"trace":${traceText(trace, spans)}}`;
    }),
    read("GET", "/batchGet", async ({ fields, scope }) => {
      const whole = await readWholeTraces(traces, await tracesOf(fields, scope, mostIds));
      if (whole.length === 0) return empty;
      return `{"traces":[${whole.map(({ trace, spans }) => traceText(trace, spans)).join(",")}]}`;
    }),
    read("POST", "/batchGetInfos", async ({ fields, scope }) => {
      const found = await tracesOf(fields, scope, mostTracesAtOnce);
      return found.length === 0 ? empty : { trace_infos: found.map(traceDocument) };
    }),
    read("POST", "/search", async ({ fields, scope }) => {
      if (fields["locations"] === undefined) missing("locations");
      const experimentIds = fieldsList(fields, "locations").flatMap((location) => {
        const id = optionalId(asFields(location["mlflow_experiment"] ?? {}, "mlflow_experiment"), "experiment_id");
        return id === undefined || id === "" ? [] : [experimentIdOf(id)];
      });
      for (const id of experimentIds) requireExperiment(scope, id);
      const page = await traces.search(readTraceSearch(fields, experimentIds));
      return {
        ...(page.traces.length === 0 ? {} : { traces: page.traces.map(traceDocument) }),
        ...(page.next === undefined ? {} : { next_page_token: writeToken(page.next) }),
      };
    }),
    read("POST", "/calculate-filter-correlation", async ({ fields, scope }) => {
      const experimentIds = textList(fields, "experiment_ids").map(experimentIdOf);
      if (experimentIds.length === 0) missing("experiment_ids");
      for (const id of experimentIds) requireExperiment(scope, id);
      const counts = await traces.correlate(experimentIds, {
        first: traceComparisons(requiredText(fields, "filter_string1")),
        second: traceComparisons(requiredText(fields, "filter_string2")),
        base: traceComparisons(optionalText(fields, "base_filter")),
      });
      const { plain, smoothed } = correlation(counts);
      return {
        npmi: plain,
        npmi_smoothed: smoothed,
        filter1_count: counts.first,
        filter2_count: counts.second,
        joint_count: counts.both,
        total_count: counts.all,
      };
    }),
    ...changeRoutes(plane),
    ...oldTraceRoutes(plane),
  ];

  async function tracesOf(
    fields: Parameters<MlflowRoute["handle"]>[0]["fields"],
    scope: Parameters<MlflowRoute["handle"]>[0]["scope"],
    most: number,
  ) {
    const ids = textList(fields, "trace_ids");
    if (ids.length === 0) missing("trace_ids");
    if (ids.length > most) invalidParameter(`A request may name ${most} traces, this one names ${ids.length}`);
    const experiments = textList(fields, "experiment_ids").map(experimentIdOf);
    const found = await traces.getAll(ids);
    const wanted = experiments.length === 0 ? found : found.filter((one) => experiments.includes(one.experimentId));
    for (const { experimentId } of wanted) requireExperiment(scope, experimentId);
    return wanted;
  }
}
