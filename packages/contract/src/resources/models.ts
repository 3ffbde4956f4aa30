import { jsonSchema, modelSignatureSchema } from "@espalier/core";
import { z } from "zod";
import { apiPrefix, defineRoutes, digestSchema, doneSchema, instantSchema, pageOf, pageQuery } from "../route.ts";
import { artifactRefSchema } from "./runs.ts";

/** As wide as MLflow's clients may name models; a pipeline's `register` step takes plain names only. */
export const modelNameSchema = z
  .string()
  .min(1)
  .max(256)
  .regex(/^[^/:]*[^/:\s][^/:]*$/, "a model's name holds no '/' and no ':'");

/** `latest` and numbers are versions, not aliases. */
const aliasSchema = z.string().regex(/^(?!latest$|[vV]?\d+$)[A-Za-z0-9_-][A-Za-z0-9._-]{0,254}$/i, {
  error: "An alias has letters, digits, '_', '-' and '.', and is neither `latest` nor a version's number",
});

export const modelVersionSchema = z.object({
  name: z.string(),
  /** From 1. */
  version: z.number(),
  /** Absent while an MLflow client has registered it by address and nobody needed its content yet. */
  artifact: artifactRefSchema.optional(),
  createdAt: instantSchema,
  runId: z.string().optional(),
  step: z.string().optional(),
  /** `none`: registered without a gate, knowingly. */
  gate: z.enum(["passed", "none"]),
  verdictId: z.string().optional(),
  aliases: z.array(z.string()),
  signature: modelSignatureSchema.optional(),
  tags: z.record(z.string(), z.string()).optional(),
});
export type ModelVersion = z.infer<typeof modelVersionSchema>;

export const modelSchema = z.object({
  name: z.string(),
  description: z.string().optional(),
  createdAt: instantSchema,
  latest: z.number().optional(),
  versions: z.number(),
  /** Alias to version. */
  aliases: z.record(z.string(), z.number()),
});
export type Model = z.infer<typeof modelSchema>;

export const verdictSchema = z.object({
  id: z.string(),
  runId: z.string().optional(),
  step: z.string().optional(),
  outcome: z.enum(["passed", "refused", "inconclusive"]),
  /** Whether the candidate may go on; an inconclusive verdict may, if the policy says so. */
  allowed: z.boolean(),
  candidate: digestSchema,
  champion: digestSchema.optional(),
  policyDigest: digestSchema.optional(),
  createdAt: instantSchema,
  /** The whole verdict as the gate wrote it. */
  verdict: jsonSchema,
});
export type VerdictInfo = z.infer<typeof verdictSchema>;

const named = z.object({ name: modelNameSchema });
/** A number, `latest`, or `@alias`. */
const versioned = named.extend({
  version: z.string().regex(/^([1-9]\d*|latest|@[A-Za-z0-9_-][A-Za-z0-9._-]{0,254})$/),
});
const aliased = named.extend({ alias: aliasSchema });

export const modelRoutes = defineRoutes({
  "models.list": {
    method: "GET",
    path: `${apiPrefix}/models`,
    role: "viewer",
    kind: "json",
    summary: "Registered models by name",
    query: z.object(pageQuery),
    response: pageOf(modelSchema),
  },
  "models.show": {
    method: "GET",
    path: `${apiPrefix}/models/:name`,
    role: "viewer",
    kind: "json",
    summary: "One model with its aliases",
    params: named,
    response: modelSchema,
  },
  "models.versions": {
    method: "GET",
    path: `${apiPrefix}/models/:name/versions`,
    role: "viewer",
    kind: "json",
    summary: "Versions, newest first",
    params: named,
    query: z.object(pageQuery),
    response: pageOf(modelVersionSchema),
  },
  "models.version": {
    method: "GET",
    path: `${apiPrefix}/models/:name/versions/:version`,
    role: "viewer",
    kind: "json",
    summary: "One version; `latest` and `@alias` work too",
    params: versioned,
    response: modelVersionSchema,
  },
  "models.promote": {
    method: "PUT",
    path: `${apiPrefix}/models/:name/aliases/:alias`,
    role: "editor",
    kind: "json",
    summary: "Points an alias at a version; CONFLICT when it no longer points at `from`",
    params: aliased,
    body: z.strictObject({
      version: z.int().min(1),
      /** The version the alias must point at now; null: at none. */
      from: z.int().min(1).nullable().optional(),
    }),
    response: modelSchema,
  },
  "models.dropAlias": {
    method: "DELETE",
    path: `${apiPrefix}/models/:name/aliases/:alias`,
    role: "editor",
    kind: "json",
    summary: "Removes an alias",
    params: aliased,
    response: doneSchema,
  },
  "verdicts.list": {
    method: "GET",
    path: `${apiPrefix}/verdicts`,
    role: "viewer",
    kind: "json",
    summary: "Decisions of gates, newest first",
    query: z.object({ ...pageQuery, model: z.string().optional(), runId: z.string().optional() }),
    response: pageOf(verdictSchema),
  },
});
