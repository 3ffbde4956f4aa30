import { jsonSchema, nameSchema } from "@espalier/core";
import { z } from "zod";
import { endpointSchema } from "./endpoint-schema.ts";
import { type MonitorConfig, monitorSchema } from "./monitor-schema.ts";

/** `uses:` names a tool of the catalog, or an npm package that brings one: `npm:@acme/espalier-lsf`. */
const toolChoiceSchema = z.strictObject({
  uses: z.string().min(1).optional().describe("The tool, or `npm:package` for one of your own."),
  with: z.record(z.string(), jsonSchema).optional().describe("Settings of the tool."),
});
export type ToolChoice = z.infer<typeof toolChoiceSchema>;

const computeChoiceSchema = toolChoiceSchema.extend({
  limit: z.int().positive().optional().describe("Most steps that run there at one time."),
  image: z.string().optional().describe("Container image, where the tool has images."),
});
export type ComputeChoice = z.infer<typeof computeChoiceSchema>;

export const stackSchema = z.strictObject({
  extends: nameSchema.optional().describe("The stack whose choices hold unless this one says otherwise."),
  artifacts: toolChoiceSchema.optional(),
  validator: toolChoiceSchema.optional(),
  features: toolChoiceSchema.optional(),
  compute: z.record(nameSchema, computeChoiceSchema).optional().describe("What each `compute:` of a step means."),
  tracking: toolChoiceSchema.optional(),
  registry: toolChoiceSchema.optional(),
  lineage: toolChoiceSchema.optional(),
  traces: toolChoiceSchema.optional(),
  packages: toolChoiceSchema.optional(),
  delivery: toolChoiceSchema.optional(),
  deploy: toolChoiceSchema.optional(),
  metrics: toolChoiceSchema.optional(),
  scheduler: toolChoiceSchema.optional(),
  metadata: toolChoiceSchema.optional(),
  secrets: toolChoiceSchema.optional(),
});
export type StackConfig = z.infer<typeof stackSchema>;

export const projectSchema = z.strictObject({
  project: nameSchema.describe("Name of the project."),
  default_stack: nameSchema.optional().describe("The stack of commands that name none."),
  control_plane: z
    .strictObject({
      url: z
        .url({ protocol: /^https?$/ })
        .optional()
        .describe("Where steps elsewhere reach the control plane."),
      port: z.int().min(1).max(65_535).optional().describe("Port of the control plane."),
      mlflow: z
        .enum(["url", "files"])
        .optional()
        .describe(
          "How steps on other machines log by MLflow: `url` (the default), or `files` that their launcher brings at the end.",
        ),
      rate_limit: z
        .strictObject({ requests_per_second: z.number().positive(), burst: z.int().positive() })
        .optional()
        .describe(
          "Of each token; left out, 5,000 and 10,000. The owner and tokenless processes of this machine have none.",
        ),
      largest_upload_bytes: z
        .int()
        .positive()
        .optional()
        .describe("Largest file that an MLflow client may log; left out, any that fits onto the disk."),
      loopback_without_token: z
        .boolean()
        .optional()
        .describe("false: MLflow's clients on this machine need a token too."),
    })
    .optional(),
  stacks: z.record(nameSchema, stackSchema).optional(),
  endpoints: z.record(nameSchema, endpointSchema).optional(),
  monitors: z.record(nameSchema, monitorSchema).optional(),
  secrets: z
    .array(z.string().regex(/^[A-Z][A-Z0-9_]{0,127}$/))
    .optional()
    .describe("Names of the secrets that steps of this project may ask for; left out, any."),
});
export type ProjectDeclaration = z.infer<typeof projectSchema>;

/** As it is meant: monitors know their endpoints. */
export type ProjectConfig = Omit<ProjectDeclaration, "monitors"> & {
  monitors?: Readonly<Record<string, MonitorConfig>> | undefined;
};
