import { jsonSchema } from "@espalier/core";
import { z } from "zod";
import { apiPrefix, defineRoutes, flagSchema, instantSchema } from "../route.ts";

export const gcReportSchema = z.object({
  /** Blobs that nothing refers to, and their bytes. */
  unreferenced: z.object({ blobs: z.number(), bytes: z.number() }),
  /** Put into quarantine by this sweep. */
  quarantined: z.object({ blobs: z.number(), bytes: z.number() }),
  /** Deleted by this sweep, after seven days in quarantine. */
  deleted: z.object({ blobs: z.number(), bytes: z.number() }),
  /** Some of the keys. */
  examples: z.array(z.string()),
});
export type GcReport = z.infer<typeof gcReportSchema>;

const doctorCheckSchema = z.object({
  name: z.string(),
  status: z.enum(["ok", "warn", "fail"]),
  message: z.string(),
  at: z.string().optional(),
  /** What follows from it. */
  means: z.string().optional(),
  /** The command that mends it. */
  hint: z.string().optional(),
});
export const doctorReportSchema = z.object({ healthy: z.boolean(), checks: z.array(doctorCheckSchema) });
export type DoctorReport = z.infer<typeof doctorReportSchema>;

const lineageNodeSchema = z.object({
  /** `kind:id`. */
  id: z.string(),
  /** `source`, `dataset`, `artifact`, `run`, `model`, `endpoint`, `capture`, `report`, `verdict`, `rollout`. */
  kind: z.string(),
  label: z.string(),
});
export const lineageSchema = z.object({
  nodes: z.array(lineageNodeSchema),
  edges: z.array(z.object({ from: z.string(), to: z.string(), relation: z.string() })),
  /** true: the graph goes on beyond the limit. */
  truncated: z.boolean(),
});
export type Lineage = z.infer<typeof lineageSchema>;

const proofSchema = z.object({ id: z.string(), at: instantSchema, what: z.string() });
const criterionSchema = z.object({
  says: z.string(),
  provenBy: z.string(),
  atLeast: z.number(),
  next: z.string(),
  isMet: z.boolean(),
  count: z.number(),
  proofs: z.array(proofSchema),
});
const maturitySchema = z.object({
  model: z.enum(["google", "microsoft"]),
  name: z.string(),
  source: z.string(),
  /** The highest whose criteria, and those of all below, the record proves. */
  level: z.number(),
  levelName: z.string(),
  levels: z.array(
    z.object({ level: z.number(), name: z.string(), isMet: z.boolean(), criteria: z.array(criterionSchema) }),
  ),
  /** What the next level asks for and nothing proves. */
  missing: z.array(criterionSchema),
});

export const operationRoutes = defineRoutes({
  "maturity.get": {
    method: "GET",
    path: `${apiPrefix}/maturity`,
    role: "viewer",
    kind: "json",
    summary: "The project held against published MLOps maturity models, by what the record proves",
    response: z.object({ models: z.array(maturitySchema) }),
  },
  "gc.preview": {
    method: "GET",
    path: `${apiPrefix}/gc`,
    role: "viewer",
    kind: "json",
    summary: "What a sweep would take; nothing changes",
    query: z.object({ stack: z.string().optional() }),
    response: gcReportSchema,
  },
  "gc.sweep": {
    method: "POST",
    path: `${apiPrefix}/gc`,
    role: "admin",
    kind: "json",
    summary: "Quarantines what nothing refers to; deletes what was quarantined seven days ago",
    body: z.strictObject({ stack: z.string().optional() }).optional(),
    response: gcReportSchema,
  },
  "doctor.check": {
    method: "GET",
    path: `${apiPrefix}/doctor`,
    role: "viewer",
    kind: "json",
    summary: "Checks record, store and tools; `deep` reads and hashes every blob that the record refers to",
    query: z.object({ deep: flagSchema.default(false), stack: z.string().optional() }),
    response: doctorReportSchema,
  },
  "doctor.repair": {
    method: "POST",
    path: `${apiPrefix}/doctor/repair`,
    role: "admin",
    kind: "json",
    summary: "Reads every blob; moves damaged ones aside, so that the steps that made them can write them again",
    body: z.strictObject({}).optional(),
    response: doctorReportSchema,
  },
  "report.get": {
    method: "GET",
    path: `${apiPrefix}/report`,
    role: "viewer",
    kind: "json",
    summary: "What happened at each milestone",
    response: jsonSchema,
  },
  "report.html": {
    method: "GET",
    path: `${apiPrefix}/report.html`,
    role: "viewer",
    kind: "bytes",
    contentType: "text/html",
    summary: "The report as one self-contained HTML file",
  },
  "lineage.get": {
    method: "GET",
    path: `${apiPrefix}/lineage`,
    role: "viewer",
    kind: "json",
    summary: "The graph around one thing, such as `model:flights-delay@3` or `run:01J...`",
    query: z.object({
      id: z.string(),
      direction: z.enum(["up", "down", "both"]).default("both"),
      depth: z.coerce.number().int().min(1).max(50).default(10),
      limit: z.coerce.number().int().min(1).max(5000).default(500),
    }),
    response: lineageSchema,
  },
});
