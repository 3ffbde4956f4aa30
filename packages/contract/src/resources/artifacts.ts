import { artifactTypeSchema, determinismSchema } from "@espalier/core";
import { z } from "zod";
import { apiPrefix, defineRoutes, digestSchema, pageOf, pageQuery } from "../route.ts";
import { artifactRefSchema } from "./runs.ts";

export const runArtifactSchema = z.object({
  step: z.string(),
  branch: z.number(),
  output: z.string(),
  artifact: artifactRefSchema,
  determinism: determinismSchema.optional(),
});
export type RunArtifact = z.infer<typeof runArtifactSchema>;

export const artifactFileSchema = z.object({
  /** POSIX path inside the artifact; empty for an artifact that is one file. */
  path: z.string(),
  size: z.number(),
  sha256: z.string(),
  executable: z.boolean(),
});
export type ArtifactFile = z.infer<typeof artifactFileSchema>;

const artifactParams = z.object({ digest: z.string() });

export const artifactRoutes = defineRoutes({
  "artifacts.ofRun": {
    method: "GET",
    path: `${apiPrefix}/runs/:runId/artifacts`,
    role: "viewer",
    kind: "json",
    summary: "What the run's steps left",
    params: z.object({ runId: z.string() }),
    query: z.object(pageQuery),
    response: pageOf(runArtifactSchema),
  },
  "artifacts.files": {
    method: "GET",
    path: `${apiPrefix}/artifacts/:digest/files`,
    role: "viewer",
    kind: "json",
    summary: "The files of an artifact that the record knows",
    params: artifactParams,
    query: z.object({ ...pageQuery, type: artifactTypeSchema }),
    response: pageOf(artifactFileSchema),
  },
  "artifacts.download": {
    method: "GET",
    path: `${apiPrefix}/artifacts/:digest/content`,
    role: "viewer",
    kind: "bytes",
    summary: "The bytes of one file of an artifact, verified on the way",
    params: artifactParams,
    query: z.object({ type: artifactTypeSchema, path: z.string().default("") }),
  },
  "blobs.get": {
    method: "GET",
    path: `${apiPrefix}/blobs/*`,
    role: "signed",
    kind: "bytes",
    summary: "Bytes of the store by signed URL, for stores that can not presign",
    query: z.object({ expires: z.coerce.number().int(), signature: z.string() }),
  },
  "blobs.put": {
    method: "PUT",
    path: `${apiPrefix}/blobs/*`,
    role: "signed",
    kind: "json",
    summary: "Puts bytes by signed URL; the checksum is part of the signature",
    query: z.object({
      expires: z.coerce.number().int(),
      checksum: z.string().regex(/^[0-9a-f]{64}$/),
      signature: z.string(),
    }),
    body: "bytes",
    response: z.object({ digest: digestSchema, size: z.number() }),
  },
});
