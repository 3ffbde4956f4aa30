import {
  artifactTypeSchema,
  attemptStates,
  jsonSchema,
  nameSchema,
  parameterSchema,
  pipelineSchema,
  runStates,
  stepStates,
} from "@espalier/core";
import { z } from "zod";
import {
  apiPrefix,
  dateSchema,
  defineRoutes,
  digestSchema,
  emptyBody,
  instantSchema,
  pageOf,
  pageQuery,
} from "../route.ts";

export const artifactRefSchema = z.object({
  type: artifactTypeSchema,
  digest: digestSchema,
  /** Bytes. */
  size: z.number(),
});

const storedErrorSchema = z.object({
  code: z.string(),
  message: z.string(),
  at: z.string().optional(),
  hint: z.string().optional(),
  details: z.record(z.string(), z.unknown()).default({}),
});

export const runOptionsSchema = z.strictObject({
  /** Only these steps; what they need must be cached. */
  only: z.array(z.string()).optional(),
  /** These and all that depends on them run; the rest must be cached. */
  from: z.array(z.string()).optional(),
  /** These and all that they need, through the cache as usual; nothing else. */
  until: z.array(z.string()).optional(),
  /** true: no cache look-up. */
  force: z.boolean().optional(),
});

const triggerSchema = z.object({
  kind: z.enum(["manual", "schedule", "monitor", "backfill", "resume"]),
  by: z.string(),
  id: z.string().optional(),
});

export const runSchema = z.object({
  id: z.string(),
  pipeline: z.string(),
  pipelineDigest: digestSchema,
  params: z.record(z.string(), parameterSchema),
  stack: z.string(),
  trigger: triggerSchema,
  logicalDate: z.string().optional(),
  options: runOptionsSchema.extend({ resumes: z.string().optional() }),
  state: z.enum(runStates),
  cancelRequested: z.boolean(),
  createdAt: instantSchema,
  startedAt: instantSchema.optional(),
  finishedAt: instantSchema.optional(),
  error: storedErrorSchema.optional(),
});
export type Run = z.infer<typeof runSchema>;

export const runStepSchema = z.object({
  step: z.string(),
  /** Index of a mapped step's branch, -1 for the step itself. */
  branch: z.number(),
  state: z.enum(stepStates),
  cacheKey: digestSchema.optional(),
  outputs: z.record(z.string(), artifactRefSchema).optional(),
  values: z.record(z.string(), jsonSchema).optional(),
  item: jsonSchema.optional(),
  cachedFrom: z.string().optional(),
  reason: z.string().optional(),
  error: storedErrorSchema.optional(),
  startedAt: instantSchema.optional(),
  finishedAt: instantSchema.optional(),
});
export type RunStep = z.infer<typeof runStepSchema>;

export const attemptSchema = z.object({
  id: z.string(),
  step: z.string(),
  branch: z.number(),
  number: z.number(),
  state: z.enum(attemptStates),
  tool: z.string(),
  cause: z.string().optional(),
  exitCode: z.number().optional(),
  message: z.string().optional(),
  createdAt: instantSchema,
  startedAt: instantSchema.optional(),
  finishedAt: instantSchema.optional(),
});
export type Attempt = z.infer<typeof attemptSchema>;

export const runDetailSchema = z.object({
  run: runSchema,
  /** Needs of each step, so that a face can draw the graph. */
  graph: z.record(z.string(), z.array(z.string())),
  /** Branches of mapped steps beyond the first 1,000 are left out; `counts` has them all. */
  steps: z.array(runStepSchema),
  attempts: z.array(attemptSchema),
  /** Steps and branches by state. */
  counts: z.record(z.string(), z.number()),
});
export type RunDetail = z.infer<typeof runDetailSchema>;

/** A value that is not finite travels as text. */
const metricValueSchema = z.union([z.number(), z.enum(["NaN", "Infinity", "-Infinity"])]);

export const metricSchema = z.object({
  stepName: z.string(),
  attemptId: z.string(),
  key: z.string(),
  value: metricValueSchema,
  /** The training step it was logged at. */
  step: z.number().optional(),
  timestamp: instantSchema,
});
export type Metric = z.infer<typeof metricSchema>;

const trialSchema = z.object({
  trial: z.number(),
  values: z.record(z.string(), jsonSchema),
  state: z.enum(stepStates),
  /** The objective's last value. */
  metric: metricValueSchema.optional(),
  reason: z.string().optional(),
  /** The attempt that reported, of a cached trial the one whose outputs it took: its run to MLflow. */
  attemptId: z.string().optional(),
  startedAt: instantSchema.optional(),
  finishedAt: instantSchema.optional(),
});

/** One event of a run: a transition, or something a step said. Numbered from 1 within the run. */
export const runEventSchema = z.object({
  number: z.number(),
  at: instantSchema,
  /**
   * The kind and its new state, `run.running`, `step.succeeded`, `attempt.submitted`; also `run.created`, `run.claimed`,
   * `run.cancel_requested`, `step.branches`, and what steps say: `step.metrics`, `step.progress`, `step.tag`, `step.note`.
   */
  type: z.string(),
  step: z.string().optional(),
  branch: z.number().optional(),
  attemptId: z.string().optional(),
  data: z.record(z.string(), jsonSchema).optional(),
});
export type RunEvent = z.infer<typeof runEventSchema>;

const comparisonSchema = z.object({
  runs: z.array(runSchema),
  /** One value a run, in the runs' order; null where a run has none. */
  params: z.array(z.object({ name: z.string(), values: z.array(parameterSchema.nullable()), differs: z.boolean() })),
  metrics: z.array(
    z.object({
      step: z.string(),
      key: z.string(),
      values: z.array(metricValueSchema.nullable()),
      differs: z.boolean(),
    }),
  ),
  outputs: z.array(
    z.object({ step: z.string(), output: z.string(), digests: z.array(digestSchema.nullable()), differs: z.boolean() }),
  ),
});
export type RunComparison = z.infer<typeof comparisonSchema>;

/** A ULID minted by the caller makes a repeated request the same run. */
const mintedIdSchema = z.string().regex(/^[0-9A-HJKMNP-TV-Z]{26}$/);

export const createRunSchema = z.strictObject({
  /** A name or a project path such as `pipelines/train.yaml`. */
  pipeline: z.string().min(1),
  params: z.record(z.string(), parameterSchema).optional(),
  stack: z.string().optional(),
  options: runOptionsSchema.optional(),
  logicalDate: dateSchema.optional(),
  id: mintedIdSchema.optional(),
  /** The job of continuous integration that starts it: `ci:<system>/<project>#<job>`. */
  origin: z
    .string()
    .max(300)
    .regex(/^ci:[^\s]+$/)
    .optional(),
});
export type CreateRun = z.infer<typeof createRunSchema>;

/** A run's id, the beginning of one that is unique, or `latest`. */
const runParams = z.object({ runId: z.string().min(1).max(64) });

export const runRoutes = defineRoutes({
  "runs.list": {
    method: "GET",
    path: `${apiPrefix}/runs`,
    role: "viewer",
    kind: "json",
    summary: "Runs, newest first",
    query: z.object({
      ...pageQuery,
      pipeline: z.string().optional(),
      state: z.enum(runStates).optional(),
      trigger: z.string().optional(),
      search: z
        .string()
        .max(10_000)
        .optional()
        .describe(
          "A filter in MLflow's language, such as `metrics.auc > 0.9 AND params.depth = '4' AND state = 'succeeded'`",
        ),
    }),
    response: pageOf(runSchema),
  },
  "runs.create": {
    method: "POST",
    path: `${apiPrefix}/runs`,
    role: "editor",
    kind: "json",
    summary: "Checks, plans and starts a run; answers at once",
    body: createRunSchema,
    response: runSchema,
  },
  "runs.compare": {
    method: "GET",
    path: `${apiPrefix}/runs/compare`,
    role: "viewer",
    kind: "json",
    summary: "Parameters, metrics and outputs of 2 to 20 runs side by side",
    query: z.object({ ids: z.string().describe("Run ids, separated by commas") }),
    response: comparisonSchema,
  },
  "runs.get": {
    method: "GET",
    path: `${apiPrefix}/runs/:runId`,
    role: "viewer",
    kind: "json",
    summary: "A run with its steps and attempts; `latest` and unique beginnings of an id work too",
    params: runParams,
    response: runDetailSchema,
  },
  "runs.pipeline": {
    method: "GET",
    path: `${apiPrefix}/runs/:runId/pipeline`,
    role: "viewer",
    kind: "json",
    summary: "The intermediate representation the run was made from",
    params: runParams,
    response: z.object({ digest: digestSchema, ir: pipelineSchema }),
  },
  "runs.metrics": {
    method: "GET",
    path: `${apiPrefix}/runs/:runId/metrics`,
    role: "viewer",
    kind: "json",
    summary: "Metrics that the run's steps logged, by attempt, key and time",
    params: runParams,
    query: z.object({ ...pageQuery, step: z.string().optional(), key: z.string().optional() }),
    response: pageOf(metricSchema),
  },
  "runs.events": {
    method: "GET",
    path: `${apiPrefix}/runs/:runId/events`,
    role: "viewer",
    kind: "events",
    summary: "The run's events as they happen; ends after the run's end. `Last-Event-ID` (or `after`) resumes",
    params: runParams,
    query: z.object({ after: z.coerce.number().int().min(0).optional() }),
    response: runEventSchema,
  },
  "runs.eventLog": {
    method: "GET",
    path: `${apiPrefix}/runs/:runId/event-log`,
    role: "viewer",
    kind: "json",
    summary: "The run's events so far",
    params: runParams,
    query: z.object(pageQuery),
    response: pageOf(runEventSchema),
  },
  "runs.cancel": {
    method: "POST",
    path: `${apiPrefix}/runs/:runId/cancel`,
    role: "editor",
    kind: "json",
    summary: "Asks for the run to stop; its steps get SIGTERM, then SIGKILL",
    params: runParams,
    body: emptyBody,
    response: runSchema,
  },
  "runs.resume": {
    method: "POST",
    path: `${apiPrefix}/runs/:runId/resume`,
    role: "editor",
    kind: "json",
    summary: "A new run that goes on where a failed or cancelled one ended, in another stack too",
    params: runParams,
    body: z
      .strictObject({
        from: z.array(z.string()).optional(),
        stack: nameSchema.optional(),
        id: mintedIdSchema.optional(),
      })
      .optional(),
    response: runSchema,
  },
  "runs.why": {
    method: "GET",
    path: `${apiPrefix}/runs/:runId/steps/:step/why`,
    role: "viewer",
    kind: "json",
    summary: "Why the step ran or was cached: which part of its cache key differs from the nearest earlier run",
    params: runParams.extend({ step: z.string() }),
    query: z.object({ branch: z.coerce.number().int().default(-1) }),
    response: z.object({
      runId: z.string(),
      step: z.string(),
      state: z.enum(stepStates),
      cacheKey: digestSchema.optional(),
      /** One sentence. */
      explanation: z.string(),
      comparedWith: z.object({ runId: z.string(), cacheKey: digestSchema.optional() }).optional(),
      differences: z.array(z.object({ part: z.string(), before: jsonSchema.optional(), after: jsonSchema.optional() })),
    }),
  },
  "runs.trials": {
    method: "GET",
    path: `${apiPrefix}/runs/:runId/steps/:step/trials`,
    role: "viewer",
    kind: "json",
    summary: "The trials of a step that searches: values, metric and state of each so far, and the best",
    params: runParams.extend({ step: z.string() }),
    response: z.object({
      runId: z.string(),
      step: z.string(),
      method: z.enum(["grid", "random", "tpe"]),
      objective: z.object({ metric: z.string(), direction: z.enum(["maximize", "minimize"]) }),
      /** How many there will be at most; trials of `tpe` are made one by one. */
      planned: z.number(),
      /** Number of the best trial so far. */
      best: z.number().optional(),
      trials: z.array(trialSchema),
    }),
  },
  "runs.approve": {
    method: "POST",
    path: `${apiPrefix}/runs/:runId/steps/:step/approval`,
    role: "editor",
    kind: "json",
    summary: "Decides a step that waits for a person",
    params: runParams.extend({ step: z.string() }),
    body: z.strictObject({ decision: z.enum(["approve", "reject"]), comment: z.string().max(2000).optional() }),
    response: z.object({ id: z.string(), decision: z.enum(["approve", "reject"]) }),
  },
});
