import { randomUUID } from "node:crypto";
import type { ControlPlane } from "../../control-plane.ts";
import { missing, optionalInteger, requiredId, requiredText, textList } from "../fields.ts";
import type { MlflowRoute } from "../mlflow-route.ts";
import { experimentForNew, requireExperiment } from "../scope.ts";
import { experimentIdOf } from "../tracked.ts";
import { missingTrace, refuseWrite, requireTrace, requireTraceInScope, withinOf } from "./known-trace.ts";
import { oldPairs, stateOf } from "./read-trace.ts";
import { readTraceSearch, writeToken } from "./search-traces.ts";
import { oldTraceDocument } from "./trace-document.ts";

/** The protocol of MLflow 2: a trace is started and ended, and its spans are a file among the artifacts. */
export function oldTraceRoutes(plane: ControlPlane): MlflowRoute[] {
  const { traces } = plane.record;
  const route = (
    method: MlflowRoute["method"],
    path: string,
    access: MlflowRoute["access"],
    handle: MlflowRoute["handle"],
  ): MlflowRoute => ({ method, path: `/mlflow/traces${path}`, api: "2.0", access, audited: false, handle });

  return [
    route("POST", "", "write", async ({ fields, scope }) => {
      const experimentId = experimentForNew(scope, experimentIdOf(requiredId(fields, "experiment_id")));
      const outcome = await traces.write(
        {
          id: randomUUID().replaceAll("-", ""),
          experimentId,
          requestTime: millisecondsOf(optionalInteger(fields, "timestamp_ms")),
          endTime: undefined,
          state: "IN_PROGRESS",
          clientRequestId: undefined,
          requestPreview: undefined,
          responsePreview: undefined,
          tags: oldPairs(fields, "tags"),
          metadata: oldPairs(fields, "request_metadata"),
          assessments: [],
        },
        true,
        withinOf(scope),
      );
      if (outcome.kind !== "written") return refuseWrite(outcome, experimentId, scope);
      return { trace_info: oldTraceDocument(outcome.trace) };
    }),
    route("PATCH", "/:request_id", "write", async ({ fields, scope }) => {
      const id = requiredText(fields, "request_id");
      const end = {
        endTime: millisecondsOf(optionalInteger(fields, "timestamp_ms")),
        state: stateOf(fields, "status"),
        tags: oldPairs(fields, "tags").filter(({ key }) => key !== "mlflow.artifactLocation"),
        metadata: oldPairs(fields, "request_metadata"),
      };
      await requireTraceInScope(plane, scope, id);
      return { trace_info: oldTraceDocument((await traces.end(id, end)) ?? missingTrace(id)) };
    }),
    route("GET", "/:request_id/info", "read", async ({ fields, scope }) => ({
      trace_info: oldTraceDocument(await requireTrace(plane, scope, requiredText(fields, "request_id"))),
    })),
    route("GET", "", "read", async ({ fields, scope }) => {
      const experimentIds = textList(fields, "experiment_ids").map(experimentIdOf);
      if (experimentIds.length === 0) missing("experiment_ids");
      for (const id of experimentIds) requireExperiment(scope, id);
      const page = await traces.search(readTraceSearch(fields, experimentIds));
      return {
        ...(page.traces.length === 0 ? {} : { traces: page.traces.map(oldTraceDocument) }),
        ...(page.next === undefined ? {} : { next_page_token: writeToken(page.next) }),
      };
    }),
  ];
}

/** Far beyond any time that a date can hold there is no telling milliseconds apart. */
function millisecondsOf(value: number | bigint | undefined): number {
  return Number(value ?? 0);
}
