import type { ControlPlane } from "../../control-plane.ts";
import type { StoredAssessment } from "../../db/queries/traces/assessment.ts";
import type { AssessmentFound } from "../../db/queries/traces/assessments.ts";
import { asFields, type Fields, missing, requiredText } from "../fields.ts";
import { mlflowError } from "../mlflow-error.ts";
import { empty, type MlflowCall, type MlflowRoute } from "../mlflow-route.ts";
import { requireExperiment } from "../scope.ts";
import { assessmentDocument } from "../traces/assessment-document.ts";
import { missingTrace } from "../traces/known-trace.ts";
import { changedAssessment, readAssessment, readMask } from "../traces/read-assessment.ts";

const largestBody = 2 * 1024 * 1024;

/** Feedback, expectations and issues: what people, judges and code say of a trace. */
export function assessmentsRoutes({ record }: ControlPlane): MlflowRoute[] {
  const { assessments } = record.traces;

  /** The experiment of a trace that is not there is nobody's: what is missing is then told by what follows. */
  const requireScope = async ({ scope }: MlflowCall, traceId: string): Promise<void> => {
    const experimentId = await record.traces.experimentOf(traceId);
    if (experimentId !== undefined) requireExperiment(scope, experimentId);
  };

  const route = (
    method: MlflowRoute["method"],
    path: "" | "/:assessment_id",
    handle: (call: MlflowCall, traceId: string) => Promise<object>,
  ): MlflowRoute => ({
    method,
    path: `/mlflow/traces/:trace_id/assessments${path}`,
    api: "3.0",
    access: method === "GET" ? "read" : "write",
    bodyLimit: largestBody,
    handle: async (call) => {
      const traceId = requiredText(call.fields, "trace_id");
      await requireScope(call, traceId);
      return handle(call, traceId);
    },
  });

  return [
    route("POST", "", async ({ fields }, traceId) => {
      const given = readAssessment(assessmentIn(fields), traceId, Date.now());
      const made = await assessments.create(given);
      if (made === "no-trace") return missingTrace(traceId);
      return answer(made, traceId, given.overrides ?? "");
    }),
    route("GET", "/:assessment_id", async ({ fields }, traceId) => {
      const id = requiredText(fields, "assessment_id");
      return answer(await assessments.get(traceId, id), traceId, id);
    }),
    route("PATCH", "/:assessment_id", async ({ fields }, traceId) => {
      const id = requiredText(fields, "assessment_id");
      const given = assessmentIn(fields);
      const mask = readMask(fields) ?? missing("update_mask");
      const now = Date.now();
      const change = (present: Parameters<typeof changedAssessment>[0]) => changedAssessment(present, given, mask, now);
      return answer(await assessments.update(traceId, id, change), traceId, id);
    }),
    route("DELETE", "/:assessment_id", async ({ fields }, traceId) => {
      await assessments.delete(traceId, requiredText(fields, "assessment_id"));
      return empty;
    }),
  ];
}

function assessmentIn(fields: Fields): Fields {
  return asFields(fields["assessment"] ?? missing("assessment"), "assessment");
}

function answer(found: AssessmentFound, traceId: string, id: string): object {
  if (found === "no-trace") {
    throw mlflowError("RESOURCE_DOES_NOT_EXIST", `Trace with request_id '${traceId}' not found`);
  }
  if (found === "no-assessment") {
    throw mlflowError("RESOURCE_DOES_NOT_EXIST", `Assessment with ID '${id}' not found for trace '${traceId}'`);
  }
  return { assessment: assessmentDocument(found satisfies StoredAssessment) };
}
