import { componentSchema, ownershipSchema, pipelineSchema, providerSchema, scheduleSchema } from "@espalier/core";
import { z } from "zod";
import { apiPrefix, defineRoutes, digestSchema, pageOf } from "../route.ts";

export const projectInfoSchema = z.object({
  project: z.string(),
  projectId: z.string(),
  version: z.string(),
  defaultStack: z.string(),
  record: z.enum(["sqlite", "postgresql"]),
  /** The stack this control plane has open for endpoints, secrets and monitors. */
  stack: z.string(),
});
export type ProjectInfo = z.infer<typeof projectInfoSchema>;

export const stackInfoSchema = z.object({
  name: z.string(),
  isDefault: z.boolean(),
  extends: z.string().optional(),
  components: z.array(
    z.object({
      component: componentSchema,
      /** The compute's name; absent for all other components. */
      name: z.string().optional(),
      tool: z.string(),
      provider: providerSchema,
      verified: z.string(),
      milestone: z.int(),
      capabilities: z.array(z.string()),
      /** What a team must know to own it. */
      skills: z.array(z.string()),
      cost: z.object({ money: z.string(), operations: z.string() }),
      losses: z.array(z.string()),
      /** What owning it takes, how fast it is held (0 to 3) and the way out; absent where its manifest does not say. */
      ownership: ownershipSchema.optional(),
      /** Of its settings in the stack; absent where it has none. Equal settings have equal digests. */
      settingsDigest: z.string().optional(),
    }),
  ),
  /** What is wrong with its tools and their settings; empty in a stack that can do all it says. */
  problems: z.array(
    z.object({ code: z.string(), message: z.string(), at: z.string().optional(), hint: z.string().optional() }),
  ),
});
export type StackInfo = z.infer<typeof stackInfoSchema>;

export const pipelineInfoSchema = z.object({
  name: z.string(),
  /** Relative to the project. */
  path: z.string(),
  steps: z.array(z.string()),
  schedule: scheduleSchema.optional(),
  digest: digestSchema.optional(),
  /** Why it can not be read. */
  error: z.string().optional(),
});
export type PipelineInfo = z.infer<typeof pipelineInfoSchema>;

export const projectRoutes = defineRoutes({
  "project.info": {
    method: "GET",
    path: `${apiPrefix}/project`,
    role: "viewer",
    kind: "json",
    summary: "The project and its control plane",
    response: projectInfoSchema,
  },
  "project.stacks": {
    method: "GET",
    path: `${apiPrefix}/stacks`,
    role: "viewer",
    kind: "json",
    summary: "The stacks of espalier.yaml, each with its tools",
    response: pageOf(stackInfoSchema),
  },
  "project.pipelines": {
    method: "GET",
    path: `${apiPrefix}/pipelines`,
    role: "viewer",
    kind: "json",
    summary: "The pipelines of the project; one that can not be read carries its error",
    response: pageOf(pipelineInfoSchema),
  },
  "project.pipeline": {
    method: "GET",
    path: `${apiPrefix}/pipelines/:pipeline`,
    role: "viewer",
    kind: "json",
    summary: "One pipeline's intermediate representation and digest",
    params: z.object({ pipeline: z.string() }),
    response: z.object({ path: z.string(), digest: digestSchema, ir: pipelineSchema }),
  },
});
