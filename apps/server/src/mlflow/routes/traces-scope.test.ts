import { expect, test } from "vitest";
import { startPostgres } from "../../../../../scripts/servers/postgres.ts";
import type { ControlPlane } from "../../control-plane.ts";
import type { ProjectRecord } from "../../db/record.ts";
import { describeOnBoth } from "../../db/testing/databases.ts";
import { newRun, runAttempt } from "../../db/testing/runs.ts";
import type { Fields } from "../fields.ts";
import { mlflowReply } from "../mlflow-error.ts";
import type { MlflowRoute } from "../mlflow-route.ts";
import type { ExperimentScope } from "../scope.ts";
import { mlflowSpans, mlflowSpansTraceId } from "../testing/recorded-traces.ts";
import { decodeProtobuf } from "../traces/otlp/decode-protobuf.ts";
import { spansOfRequest } from "../traces/spans-of-request.ts";
import { assessmentsRoutes } from "./assessments.ts";
import { loggedModelsRoutes } from "./logged-models.ts";
import { tracesRoutes } from "./traces.ts";

type Caller = (method: string, path: string, fields: Fields) => Promise<{ status: number; body: unknown }>;

/** The routes as the whole project may use them, and as a step whose experiment is `mine` may. */
async function prepare(record: ProjectRecord) {
  const plane = { record } as ControlPlane;
  const routes = [...tracesRoutes(plane), ...assessmentsRoutes(plane), ...loggedModelsRoutes(plane)];
  const caller =
    (scope: ExperimentScope): Caller =>
    async (method, path, fields) => {
      const [api, ...rest] = path.split(" ");
      const route = routes.find(
        (one: MlflowRoute) => one.method === method && one.api === api && one.path === `/mlflow/${rest.join(" ")}`,
      );
      if (route === undefined) throw new Error(`There is no route ${method} ${path}`);
      const principal = { actor: "test", grant: { kind: "loopback" } } as const;
      try {
        const answer = await route.handle({ fields, principal, scope, signal: new AbortController().signal });
        return { status: 200, body: typeof answer === "string" ? JSON.parse(answer) : answer };
      } catch (error) {
        return mlflowReply(error);
      }
    };
  const { id: runId } = await record.engine.createRun(newRun());
  const attemptId = await runAttempt(record, runId, []);
  const mine = (await record.tracking.experimentOfRun(attemptId)) ?? "";
  const theirs = (await record.tracking.experiments.create({ name: "other", tags: [] })) ?? "";
  const scope: ExperimentScope = { kind: "experiment", experimentId: mine, runId, attemptId };
  return { anybody: caller({ kind: "project" }), step: caller(scope), mine, theirs };
}

const start = (id: string, experimentId: string): Fields => ({
  trace: {
    trace_info: {
      trace_id: id,
      trace_location: { type: "MLFLOW_EXPERIMENT", mlflow_experiment: { experiment_id: experimentId } },
      state: "OK",
    },
  },
});

describeOnBoth("a step's token on traces and logged models", await startPostgres(), (database) => {
  test("what it makes without naming an experiment belongs to its pipeline's", async () => {
    const { step, mine } = await prepare(await database.open());
    expect((await step("POST", "3.0 traces", start("tr-1", "0"))).body).toMatchObject({
      trace: { trace_info: { trace_location: { mlflow_experiment: { experiment_id: mine } } } },
    });
    expect((await step("POST", "2.0 traces", { experiment_id: "0" })).body).toMatchObject({
      trace_info: { experiment_id: mine },
    });
    expect((await step("POST", "2.0 logged-models", { experiment_id: "0" })).body).toMatchObject({
      model: { info: { experiment_id: mine } },
    });
  });

  test("what belongs to another experiment is out of reach", async () => {
    const record = await database.open();
    const { anybody, step, theirs } = await prepare(record);
    await anybody("POST", "3.0 traces", start("tr-1", theirs));
    const assessment = { assessment_name: "a", feedback: { value: 1 } };
    const assessed = await anybody("POST", "3.0 traces/:trace_id/assessments", { trace_id: "tr-1", assessment });
    const { assessment_id } = (assessed.body as { assessment: { assessment_id: string } }).assessment;
    const made = await anybody("POST", "2.0 logged-models", { experiment_id: theirs });
    const { model_id } = (made.body as { model: { info: { model_id: string } } }).model.info;
    const ofTrace = { trace_id: "tr-1", request_id: "tr-1" };
    const ofAssessment = { ...ofTrace, assessment_id };
    const tries: [string, string, Fields][] = [
      ["POST", "3.0 traces", start("tr-2", theirs)],
      // Not to be taken over either, by a trace of the same id.
      ["POST", "3.0 traces", start("tr-1", "0")],
      ["POST", "2.0 traces", { experiment_id: theirs }],
      ["PATCH", "2.0 traces/:request_id", { ...ofTrace, status: "OK" }],
      ["GET", "2.0 traces/:request_id/info", ofTrace],
      ["GET", "2.0 traces", { experiment_ids: theirs }],
      ["GET", "3.0 traces/:trace_id", ofTrace],
      ["GET", "3.0 traces/get", { ...ofTrace, allow_partial: "true" }],
      ["GET", "3.0 traces/batchGet", { trace_ids: ["tr-1"] }],
      ["POST", "3.0 traces/batchGetInfos", { trace_ids: ["tr-1"] }],
      ["POST", "3.0 traces/search", { locations: [{ mlflow_experiment: { experiment_id: theirs } }] }],
      [
        "POST",
        "3.0 traces/calculate-filter-correlation",
        { experiment_ids: [theirs], filter_string1: "status = 'OK'", filter_string2: "status = 'OK'" },
      ],
      ["PATCH", "3.0 traces/:trace_id/tags", { ...ofTrace, key: "k", value: "v" }],
      ["DELETE", "3.0 traces/:trace_id/tags", { ...ofTrace, key: "k" }],
      ["POST", "3.0 traces/delete-traces", { experiment_id: theirs, request_ids: ["tr-1"] }],
      ["POST", "2.0 traces/link-prompts", { ...ofTrace, prompt_versions: [{ name: "p", version: "1" }] }],
      ["POST", "3.0 traces/:trace_id/assessments", { ...ofTrace, assessment }],
      ["GET", "3.0 traces/:trace_id/assessments/:assessment_id", ofAssessment],
      [
        "PATCH",
        "3.0 traces/:trace_id/assessments/:assessment_id",
        { ...ofAssessment, assessment, update_mask: "feedback" },
      ],
      ["DELETE", "3.0 traces/:trace_id/assessments/:assessment_id", ofAssessment],
      ["POST", "2.0 logged-models", { experiment_id: theirs }],
      ["GET", "2.0 logged-models/:model_id", { model_id }],
      ["PATCH", "2.0 logged-models/:model_id", { model_id, status: "LOGGED_MODEL_READY" }],
      ["DELETE", "2.0 logged-models/:model_id", { model_id }],
      ["POST", "2.0 logged-models/:model_id/params", { model_id, params: [{ key: "a", value: "b" }] }],
      ["PATCH", "2.0 logged-models/:model_id/tags", { model_id, tags: [{ key: "a", value: "b" }] }],
      ["DELETE", "2.0 logged-models/:model_id/tags/:tag_key", { model_id, tag_key: "a" }],
      ["POST", "2.0 logged-models/search", { experiment_ids: [theirs] }],
    ];
    for (const [method, path, fields] of tries) {
      expect([method, path, (await step(method, path, fields)).status]).toEqual([method, path, 403]);
      // Whoever may see it finds the way there: the refusal is for the scope, not for the request.
      expect([method, path, (await anybody(method, path, fields)).status]).not.toEqual([method, path, 403]);
    }
  });

  test("spans do not go into a trace of another experiment", async () => {
    const record = await database.open();
    const { anybody, mine, theirs } = await prepare(record);
    await anybody("POST", "3.0 traces", start(mlflowSpansTraceId, theirs));
    const batch = { ...spansOfRequest(decodeProtobuf(mlflowSpans)), experimentId: mine, runId: undefined };
    expect(await record.traces.logSpans({ ...batch, within: mine })).toEqual({ kind: "foreign", experimentId: theirs });
    expect(await record.traces.spansOf(mlflowSpansTraceId)).toEqual([]);
    expect(await record.traces.logSpans({ ...batch, within: undefined })).toEqual({ kind: "logged" });
    expect((await record.traces.get(mlflowSpansTraceId))?.experimentId).toBe(theirs);
  });
});
