import { z } from "zod";
import { apiPrefix, defineRoutes, instantSchema, pageOf, pageQuery } from "../route.ts";

const count = z.number();

const transferProgressSchema = z.object({
  phase: z.string(),
  experiments: count,
  runs: count,
  /** Runs that an earlier, interrupted try had carried. */
  skipped: count,
  points: count,
  files: count,
  bytes: count,
  versions: count,
});

export const transferSchema = z.object({
  id: z.string(),
  direction: z.enum(["import", "export"]),
  /** The server, folder or file that it is from or to. */
  peer: z.string(),
  /** interrupted: the control plane stopped in its middle; starting it again goes on. unequal: the counts at the end differ. */
  state: z.enum(["running", "done", "unequal", "failed", "interrupted"]),
  progress: transferProgressSchema.optional(),
  counts: z.array(z.object({ what: z.string(), source: count, here: count, equal: z.boolean() })).optional(),
  /** What the other side can not give or take. */
  losses: z.array(z.string()).optional(),
  description: z.string().optional(),
  error: z
    .looseObject({ code: z.string(), message: z.string(), at: z.string().optional(), hint: z.string().optional() })
    .optional(),
  startedBy: z.string(),
  startedAt: instantSchema,
  finishedAt: instantSchema.optional(),
});
export type Transfer = z.infer<typeof transferSchema>;

/** Used for this transfer and kept nowhere. */
const credentialsSchema = z.union([
  z.strictObject({ token: z.string().min(1).max(10_000) }),
  z.strictObject({ username: z.string().min(1).max(1000), password: z.string().max(10_000) }),
]);
const prefix = z.string().max(200).default("");

export const mirrorStatusSchema = z.object({
  mirror: z.string(),
  component: z.enum(["tracking", "registry", "lineage", "traces"]),
  /** Changes that wait. */
  pending: count,
  delivered: count,
  lastDeliveredAt: instantSchema.optional(),
  /** Failed tries since the last success. */
  tries: count,
  lastError: z.string().optional(),
  /** When it is tried again. */
  dueAt: instantSchema.optional(),
});
export type MirrorStatus = z.infer<typeof mirrorStatusSchema>;

const identified = z.object({ transferId: z.string() });

export const transferRoutes = defineRoutes({
  "transfers.list": {
    method: "GET",
    path: `${apiPrefix}/transfers`,
    role: "viewer",
    kind: "json",
    summary: "Imports and exports, newest first",
    query: z.object(pageQuery),
    response: pageOf(transferSchema),
  },
  "transfers.import": {
    method: "POST",
    path: `${apiPrefix}/transfers/import`,
    role: "admin",
    kind: "json",
    summary:
      "Brings experiments, runs, models and files of an MLflow server, an mlruns folder or an SQLite store; goes on where an earlier one stopped",
    body: z.strictObject({
      /** http(s) address, or a path on the control plane's machine. */
      source: z.string().min(1, "It is empty: name a server, a folder or a file").max(4000),
      artifactRoot: z.string().min(1).max(4000).optional(),
      artifacts: z.boolean().default(true),
      experimentPrefix: prefix,
      modelPrefix: prefix,
      credentials: credentialsSchema.optional(),
    }),
    response: transferSchema,
  },
  "transfers.export": {
    method: "POST",
    path: `${apiPrefix}/transfers/export`,
    role: "admin",
    kind: "json",
    summary: "Carries experiments, runs and models into an MLflow server; goes on where an earlier one stopped",
    body: z.strictObject({
      target: z.string().min(1, "It is empty: give the address of an MLflow server").max(4000),
      artifacts: z.boolean().default(true),
      experimentPrefix: prefix,
      /** Names of experiments; all of them when it is left out. */
      experiments: z.array(z.string().min(1).max(500)).max(1000).optional(),
      credentials: credentialsSchema.optional(),
    }),
    response: transferSchema,
  },
  "transfers.exportProject": {
    method: "POST",
    path: `${apiPrefix}/transfers/export-project`,
    role: "admin",
    kind: "json",
    summary:
      "Writes everything in open formats into a folder, with a manifest of digests; goes on where an earlier one stopped",
    body: z.strictObject({
      /** On the control plane's machine; a relative one is of the project. */
      folder: z.string().min(1, "It is empty: name a folder").max(4000),
    }),
    response: transferSchema,
  },
  "transfers.get": {
    method: "GET",
    path: `${apiPrefix}/transfers/:transferId`,
    role: "viewer",
    kind: "json",
    summary: "One import or export",
    params: identified,
    response: transferSchema,
  },
  "transfers.events": {
    method: "GET",
    path: `${apiPrefix}/transfers/:transferId/events`,
    role: "viewer",
    kind: "events",
    summary: "Its progress as it happens",
    params: identified,
    response: transferSchema,
  },
  "mirrors.list": {
    method: "GET",
    path: `${apiPrefix}/mirrors`,
    role: "viewer",
    kind: "json",
    summary: "How far the stack's mirrors are behind the record",
    response: z.object({ items: z.array(mirrorStatusSchema) }),
  },
});
