import { z } from "zod";
import type { Json } from "../canonical-json.ts";

/**
 * The intermediate representation (IR) of a pipeline: canonical JSON, `ir: 1`, defaults omitted, and neither time stamp, host,
 * absolute path nor tool name in it, so that equal pipelines have equal digests. It is what the front ends (YAML, TypeScript)
 * produce, what checks read, and what a run stores. References stay in their written form; `references.ts` parses them.
 */

/** Names of pipelines, datasets, models, endpoints, computes. */
export const nameSchema = z
  .string()
  .regex(
    /^[a-z0-9][a-z0-9._-]{0,62}$/,
    "a name is lower-case letters, digits, '.', '_' and '-', at most 63 characters",
  );

/** Names of steps, inputs, outputs and parameters: they are identifiers in expressions and environment variables. */
export const identifierSchema = z
  .string()
  .regex(/^[a-z][a-z0-9_]{0,62}$/, "an identifier is lower-case letters, digits and '_', and starts with a letter");

export const jsonSchema: z.ZodType<Json> = z.lazy(() =>
  z.union([z.null(), z.boolean(), z.number(), z.string(), z.array(jsonSchema), z.record(z.string(), jsonSchema)]),
);

/**
 * file: one file. tree: a folder. parquet: a file that holds a table. model: a folder {payload, signature.json}.
 * value: a JSON document of at most 64 KiB, which `when:` and `map.over` may read.
 */
export const artifactTypeSchema = z.enum(["file", "tree", "parquet", "model", "value"]);
export type ArtifactType = z.infer<typeof artifactTypeSchema>;

export const determinismSchema = z.enum(["exact", "equivalent", "none"]);
export type Determinism = z.infer<typeof determinismSchema>;

export const outputSchema = z.strictObject({
  type: artifactTypeSchema,
  /** Left out means `exact` for built-in steps and `none` for `run:` steps: nobody promises for code they have not read. */
  determinism: determinismSchema.optional(),
  /** For `equivalent`: how two results are compared. */
  comparator: z.enum(["table", "json", "predictions"]).optional(),
  tolerance: z.number().nonnegative().optional(),
  /** The same bytes on every platform: the platform then leaves the cache key. */
  portable: z.boolean().optional(),
});
export type OutputIr = z.infer<typeof outputSchema>;

export const failureCauseSchema = z.enum(["exit", "lost", "timeout"]);
export type FailureCause = z.infer<typeof failureCauseSchema>;

export const retrySchema = z.strictObject({
  /** All tries together, so 1 means no retry. */
  attempts: z.int().min(1).max(100),
  causes: z.array(failureCauseSchema).min(1).optional(),
  delaySeconds: z.number().nonnegative().optional(),
  /** Each further delay is multiplied by this. */
  backoff: z.number().min(1).optional(),
});
export type RetryIr = z.infer<typeof retrySchema>;

export const resourcesSchema = z.strictObject({
  cpu: z.number().positive().optional(),
  memoryBytes: z.int().positive().optional(),
  gpu: z.strictObject({ count: z.int().positive(), type: z.string().optional() }).optional(),
  sharedMemoryBytes: z.int().positive().optional(),
});
export type ResourcesIr = z.infer<typeof resourcesSchema>;

export const environmentSchema = z.union([
  /** requirements.txt, pyproject.toml, uv.lock or environment.yml of the project. */
  z.strictObject({ python: z.string(), pythonVersion: z.string().optional() }),
  z.strictObject({ dockerfile: z.string() }),
  z.strictObject({ image: z.string() }),
]);
export type EnvironmentIr = z.infer<typeof environmentSchema>;

export const mapSchema = z.strictObject({
  /** CEL over parameters and `value` outputs; it must give a list of JSON values. */
  over: z.string(),
  /** The parameter under which a branch sees its item. */
  as: identifierSchema,
  concurrency: z.int().positive().optional(),
});

/** Written as people write it: `log_uniform`, `max_failed`. */
export const tuneSchema = z.strictObject({
  search: z.record(
    identifierSchema,
    z.union([
      z.strictObject({
        choice: z
          .array(z.union([z.string(), z.number(), z.boolean()]))
          .min(1)
          .max(1_000),
      }),
      z.strictObject({ integer: z.tuple([z.int(), z.int()]) }),
      z.strictObject({ uniform: z.tuple([z.number(), z.number()]) }),
      z.strictObject({ log_uniform: z.tuple([z.number(), z.number()]) }),
    ]),
  ),
  /** grid: every combination. random: drawn by the seed. tpe: each from the results of those before it. */
  method: z.enum(["grid", "random", "tpe"]),
  trials: z.int().min(1).max(1_000).optional(),
  concurrency: z.int().positive().optional(),
  /** The last value that a trial reports of this metric decides. */
  objective: z.strictObject({ metric: z.string().min(1).max(250), direction: z.enum(["maximize", "minimize"]) }),
  /**
   * Successive halving: trials are compared when their metric's `step` has come to `after`, `after * factor`, `after * factor^2`..., and one that is not
   * among the best 1/`factor` of those that came so far is stopped. `factor` left out: 3.
   */
  stop_early: z.strictObject({ after: z.int().min(1), factor: z.int().min(2).max(100).optional() }).optional(),
  /** Left out: 0. */
  seed: z.int().optional(),
  /** So many trials may fail without failing the step; left out: 0. */
  max_failed: z.int().nonnegative().optional(),
});
export type TuneIr = z.infer<typeof tuneSchema>;

export const stepSchema = z.strictObject({
  /** A shell command; exactly one of `run` and `uses`. */
  run: z.string().optional(),
  /** A built-in step, or `module#export` of a step written in TypeScript. */
  uses: z.string().optional(),
  /** Folder (or file) of the project that the step runs inside, as a snapshot. */
  source: z.string().optional(),
  environment: environmentSchema.optional(),
  /** Values are references, see `references.ts`. */
  inputs: z.record(identifierSchema, z.string()).optional(),
  outputs: z.record(identifierSchema, outputSchema).optional(),
  /** Pipeline parameters that the step reads. */
  params: z.array(identifierSchema).optional(),
  /** Settings of a built-in step: literals. */
  with: z.record(z.string(), jsonSchema).optional(),
  needs: z.array(identifierSchema).optional(),
  /** CEL; false skips the step. */
  when: z.string().optional(),
  map: mapSchema.optional(),
  tune: tuneSchema.optional(),
  compute: nameSchema.optional(),
  resources: resourcesSchema.optional(),
  /** A gang: so many processes at one time, one a node, which find each other; `resources` are those of each. Left out: 1. */
  nodes: z.int().min(1).max(1_024).optional(),
  secrets: z.array(z.string().regex(/^[A-Z][A-Z0-9_]{0,127}$/)).optional(),
  checkpoint: z.boolean().optional(),
  retry: retrySchema.optional(),
  timeoutSeconds: z.number().positive().optional(),
  /** Only `none`: this register or deploy step knowingly takes an unjudged model. It is recorded. */
  gate: z.literal("none").optional(),
  /** false: the step runs every time. */
  cache: z.boolean().optional(),
});
export type StepIr = z.infer<typeof stepSchema>;

export const parameterSchema = z.union([z.string(), z.number(), z.boolean()]);
export type ParameterValue = z.infer<typeof parameterSchema>;

export const scheduleSchema = z.strictObject({
  cron: z.string(),
  /** IANA name; UTC when left out. */
  timezone: z.string().optional(),
  catchUp: z.boolean().optional(),
  /** skip: a due run is not started while one is active; queue: it waits; allow: both run. Left out: skip. */
  overlap: z.enum(["skip", "queue", "allow"]).optional(),
  /** Parameters of the runs it starts; in a text, `${{ run.date }}` becomes the logical date as YYYY-MM-DD. */
  params: z.record(identifierSchema, parameterSchema).optional(),
});
export type ScheduleIr = z.infer<typeof scheduleSchema>;

export const notifySchema = z.strictObject({
  /** Where a failure notice is POSTed: a URL, or the name of a secret that holds one. */
  webhook: z.string(),
  on: z.array(z.enum(["failed", "succeeded", "cancelled"])).optional(),
});

export const pipelineSchema = z.strictObject({
  ir: z.literal(1),
  name: nameSchema,
  /** Defaults; a parameter's type is the type of its default. */
  params: z.record(identifierSchema, parameterSchema).optional(),
  schedule: scheduleSchema.optional(),
  notify: notifySchema.optional(),
  steps: z.record(identifierSchema, stepSchema),
});
export type PipelineIr = z.infer<typeof pipelineSchema>;
