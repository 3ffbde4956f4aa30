import { z } from "zod";
import {
  artifactTypeSchema,
  environmentSchema,
  identifierSchema,
  jsonSchema,
  mapSchema,
  nameSchema,
  notifySchema,
  outputSchema,
  parameterSchema,
  retrySchema,
  scheduleSchema,
  stepSchema,
  tuneSchema,
} from "./pipeline.ts";
import { durationPattern, sizePattern } from "./units.ts";

/**
 * The form that people write: keys in snake_case, units in values, shorthands. Nothing is transformed here, so that the JSON Schema for
 * editors is exactly what is accepted; `compile.ts` makes the IR of it.
 */
const durationSchema = z
  .union([
    z.number().positive(),
    z.string().regex(durationPattern, "a duration is a number and a unit, such as `90s`, `30m` or `1h30m`"),
  ])
  .describe("A duration: `90s`, `30m`, `1h30m`, or a number of seconds.");

const sizeSchema = z
  .union([z.int().positive(), z.string().regex(sizePattern, "a size is a number and a unit, such as `500M` or `4Gi`")])
  .describe("A size: `500M`, `4Gi`, or a number of bytes.");

const outputAuthoringSchema = z
  .union([artifactTypeSchema, outputSchema])
  .describe("The type of the output, or a mapping with its type and how far it is reproducible.");

const [pythonEnvironment, dockerfileEnvironment, imageEnvironment] = environmentSchema.options;
const environmentAuthoringSchema = z.union([
  pythonEnvironment
    .omit({ pythonVersion: true })
    .extend({ python_version: z.string().optional().describe("Version of Python, such as `3.12`.") }),
  dockerfileEnvironment,
  imageEnvironment,
]);

const resourcesAuthoringSchema = z.strictObject({
  cpu: z.number().positive().optional().describe("Processor cores."),
  memory: sizeSchema.optional(),
  gpu: z
    .union([z.int().positive(), z.strictObject({ count: z.int().positive(), type: z.string().optional() })])
    .optional(),
  shared_memory: sizeSchema.optional(),
});

const retryAuthoringSchema = z.union([
  z.int().min(1).max(100),
  retrySchema.omit({ delaySeconds: true }).extend({ delay: durationSchema.optional() }),
]);

const stepAuthoringSchema = stepSchema
  .omit({ timeoutSeconds: true })
  .extend({
    run: z.string().optional().describe("A shell command. Exactly one of `run` and `uses`."),
    uses: z.string().optional().describe("A built-in step, or `./module.ts#export` for a step written in TypeScript."),
    source: z.string().optional().describe("Folder of the project that the step runs inside, as a snapshot."),
    environment: environmentAuthoringSchema.optional(),
    inputs: z
      .record(identifierSchema, z.string())
      .optional()
      .describe("References: `step.output`, `./file`, `dataset:name@version`, `models:/name@alias`."),
    outputs: z.record(identifierSchema, outputAuthoringSchema).optional(),
    with: z.record(z.string(), jsonSchema).optional().describe("Settings of a built-in step: literals."),
    when: z.string().optional().describe("CEL over `params` and `value` outputs; false skips the step."),
    tune: tuneSchema.optional().describe("Searches for the values that bring a metric the furthest, a trial at each."),
    map: mapSchema.optional().describe("Runs the step once for each item of a list."),
    resources: resourcesAuthoringSchema.optional(),
    nodes: stepSchema.shape.nodes.describe("A gang: so many nodes at one time, each with these resources."),
    retry: retryAuthoringSchema.optional(),
    timeout: durationSchema.optional(),
  })
  .describe("One step: a command (`run:`) or a built-in (`uses:`).");
export type StepAuthoring = z.infer<typeof stepAuthoringSchema>;

const scheduleAuthoringSchema = scheduleSchema.omit({ catchUp: true }).extend({
  cron: z.string().describe("Five fields: minute, hour, day of month, month, day of week."),
  timezone: z.string().optional().describe("IANA name, such as Europe/Madrid; UTC when left out."),
  catch_up: z.boolean().optional().describe("Start the runs that were due while nothing was there to start them."),
});

export const pipelineAuthoringSchema = z.strictObject({
  name: nameSchema.describe("Name of the pipeline."),
  params: z
    .record(identifierSchema, parameterSchema)
    .optional()
    .describe("Parameters with their defaults; a parameter's type is the type of its default."),
  schedule: scheduleAuthoringSchema.optional(),
  notify: notifySchema.optional(),
  steps: z.record(identifierSchema, stepAuthoringSchema),
});
export type PipelineAuthoring = z.infer<typeof pipelineAuthoringSchema>;
