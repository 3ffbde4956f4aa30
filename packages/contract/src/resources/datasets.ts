import { jsonSchema, nameSchema } from "@espalier/core";
import { z } from "zod";
import { apiPrefix, defineRoutes, instantSchema, pageOf, pageQuery } from "../route.ts";
import { artifactRefSchema } from "./runs.ts";

export const datasetSchema = z.object({
  name: z.string(),
  description: z.string().optional(),
  createdAt: instantSchema,
  versions: z.number(),
  latest: z.number().optional(),
});
export type Dataset = z.infer<typeof datasetSchema>;

export const datasetVersionSchema = z.object({
  name: z.string(),
  /** From 1. */
  version: z.number(),
  artifact: artifactRefSchema,
  createdAt: instantSchema,
  createdBy: z.string().optional(),
  runId: z.string().optional(),
  source: z.string().optional(),
  rows: z.number().optional(),
  columns: z.array(z.object({ name: z.string(), type: z.string() })).optional(),
  tags: z.record(z.string(), z.string()).optional(),
});
export type DatasetVersion = z.infer<typeof datasetVersionSchema>;

export const datasetDiffSchema = z.object({
  name: z.string(),
  from: z.number(),
  to: z.number(),
  identical: z.boolean(),
  rows: z.object({ from: z.number(), to: z.number() }).optional(),
  columns: z.array(
    z.object({
      name: z.string(),
      change: z.enum(["added", "removed", "type", "statistics", "same"]),
      from: z.record(z.string(), jsonSchema).optional(),
      to: z.record(z.string(), jsonSchema).optional(),
    }),
  ),
  /** Given a key: rows by key. */
  keyed: z.object({ key: z.array(z.string()), added: z.number(), removed: z.number(), changed: z.number() }).optional(),
  /** For trees: paths. */
  files: z
    .object({ added: z.array(z.string()), removed: z.array(z.string()), changed: z.array(z.string()) })
    .optional(),
});
export type DatasetDiff = z.infer<typeof datasetDiffSchema>;

const named = z.object({ name: nameSchema });
/** A number, or `latest`. */
const versioned = named.extend({ version: z.string().regex(/^([1-9]\d*|latest)$/) });

export const datasetRoutes = defineRoutes({
  "datasets.list": {
    method: "GET",
    path: `${apiPrefix}/datasets`,
    role: "viewer",
    kind: "json",
    summary: "Datasets by name",
    query: z.object(pageQuery),
    response: pageOf(datasetSchema),
  },
  "datasets.log": {
    method: "POST",
    path: `${apiPrefix}/datasets`,
    role: "editor",
    kind: "json",
    summary: "Takes a file or folder of the project as a new version; content already there gives the version it has",
    body: z.strictObject({
      name: nameSchema,
      /** Relative to the project. */
      path: z.string().min(1),
      description: z.string().max(4000).optional(),
      tags: z.record(z.string(), z.string()).optional(),
    }),
    response: datasetVersionSchema.extend({ created: z.boolean() }),
  },
  "datasets.versions": {
    method: "GET",
    path: `${apiPrefix}/datasets/:name/versions`,
    role: "viewer",
    kind: "json",
    summary: "Versions, newest first",
    params: named,
    query: z.object(pageQuery),
    response: pageOf(datasetVersionSchema),
  },
  "datasets.show": {
    method: "GET",
    path: `${apiPrefix}/datasets/:name/versions/:version`,
    role: "viewer",
    kind: "json",
    summary: "One version",
    params: versioned,
    response: datasetVersionSchema,
  },
  "datasets.diff": {
    method: "GET",
    path: `${apiPrefix}/datasets/:name/diff`,
    role: "viewer",
    kind: "json",
    summary: "Schema, counts, column statistics and, given a key, rows of two versions",
    params: named,
    query: z.object({
      from: z.coerce.number().int().min(1),
      to: z.coerce.number().int().min(1),
      key: z.string().optional().describe("Key columns, separated by commas"),
    }),
    response: datasetDiffSchema,
  },
  "datasets.checkout": {
    method: "POST",
    path: `${apiPrefix}/datasets/:name/versions/:version/checkout`,
    role: "editor",
    kind: "json",
    summary: "Writes a version's content into the project, whole or not at all",
    params: versioned,
    body: z.strictObject({
      /** Relative to the project; it must not exist unless `overwrite`. */
      path: z.string().min(1),
      overwrite: z.boolean().optional(),
    }),
    response: z.object({ path: z.string(), version: z.number(), artifact: artifactRefSchema }),
  },
});
