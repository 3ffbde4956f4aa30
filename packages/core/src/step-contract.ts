import { z } from "zod";
import type { Json } from "./canonical-json.ts";
import type { ArtifactType } from "./ir/pipeline.ts";

/** The step contract, the same on every tool: names of the environment variables that a step's process sees. */
export const stepVariables = {
  /** Folder with one entry an input. */
  inputs: "ESPALIER_INPUTS",
  /** Folder where the step leaves one entry an output; a missing one fails the step. */
  outputs: "ESPALIER_OUTPUTS",
  /** JSON list of the outputs' names; set for built-in steps, whose output names may be the user's (`sql`). */
  outputNames: "ESPALIER_OUTPUT_NAMES",
  /** JSON object of the outputs' types by name; set for built-in steps, one of which writes by type (`sql`). */
  outputTypes: "ESPALIER_OUTPUT_TYPES",
  /** JSON object of the parameters that the step declares or its command names. */
  params: "ESPALIER_PARAMS",
  /** File to which the step appends JSON lines, see `stepEventSchema`. */
  events: "ESPALIER_EVENTS",
  /** Folder that outlives attempts. */
  checkpoint: "ESPALIER_CHECKPOINT",
  runId: "ESPALIER_RUN_ID",
  step: "ESPALIER_STEP",
  attemptId: "ESPALIER_ATTEMPT_ID",
  /** JSON of a built-in step's `with:`. */
  with: "ESPALIER_WITH",
  /** What `builtinImplementation` says of a built-in step; one that is another refuses to run. */
  builtinImplementation: "ESPALIER_BUILTIN_IMPLEMENTATION",
  /** JSON object of the Python programs for the models among a built-in step's inputs that need one, by input. */
  modelPythons: "ESPALIER_MODEL_PYTHONS",
  /** The run's logical date, ISO 8601; set for commands that name `run.date`, whose cache key holds it. */
  runDate: "ESPALIER_RUN_DATE",
} as const;

const base = {
  /** Milliseconds since the epoch; left out means the moment of reading. */
  timestamp: z.number().optional(),
};

/** One line of the event file. Unknown keys are ignored; a line that does not parse becomes a note, and the step goes on. */
export const stepEventSchema = z.discriminatedUnion("type", [
  z.object({
    type: z.literal("metric"),
    key: z.string().min(1).max(250),
    value: z.union([z.number(), z.enum(["NaN", "Infinity", "-Infinity"])]),
    step: z.int().optional(),
    ...base,
  }),
  z.object({
    type: z.literal("progress"),
    done: z.number(),
    total: z.number().optional(),
    unit: z.string().optional(),
    ...base,
  }),
  z.object({ type: z.literal("tag"), key: z.string().min(1).max(250), value: z.string().max(8000), ...base }),
  z.object({ type: z.literal("note"), text: z.string().max(8000), ...base }),
]);
export type StepEvent = z.infer<typeof stepEventSchema>;

/**
 * How a `data` built-in is called, in its own process: paths in, files out. It never sees the record or the store.
 * `record` built-ins (register, deploy, dataset, approve) run inside the control plane instead.
 */
export interface DataStepContext {
  inputs: Readonly<Record<string, string>>;
  outputs: Readonly<Record<string, string>>;
  /** Declared types by name; empty where the caller does not say. */
  outputTypes: Readonly<Record<string, ArtifactType>>;
  params: Readonly<Record<string, Json>>;
  with: Readonly<Record<string, Json>>;
  /** Folder that outlives attempts, for a built-in that keeps a checkpoint; absent where the caller gives none. */
  checkpoint?: string;
  emit(event: StepEvent): void;
  signal: AbortSignal;
}
