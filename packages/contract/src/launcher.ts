import { artifactTypeSchema } from "@espalier/core";
import { z } from "zod";

/**
 * What the one-file launcher (`python/launcher.py`) and the control plane say to each other, see `docs/launcher-protocol.md`.
 * Every request carries `Authorization: Bearer <token of the attempt>`; the token opens this attempt's routes and nothing else.
 */
const sha256Schema = z.string().regex(/^[0-9a-f]{64}$/);

/** Relative POSIX path below the input or output; empty for an artifact that is a single file. */
const relativePathSchema = z
  .string()
  .max(4096)
  .refine(
    (path) => path === "" || path.split("/").every((part) => part !== "" && part !== "." && part !== ".."),
    "a path is relative, with neither empty nor '.' nor '..' parts",
  )
  .refine((path) => !path.includes("\\") && !path.includes("\u0000"), "a path has neither '\\' nor NUL");

/** One file to download. `url` is absolute, or a path of the control plane; the token goes only to the control plane's origin. */
const launcherDownloadSchema = z.object({
  path: relativePathSchema,
  size: z.int().nonnegative(),
  sha256: sha256Schema,
  executable: z.boolean().optional(),
  url: z.string(),
});
export type LauncherDownload = z.infer<typeof launcherDownloadSchema>;

/** GET /api/v1/attempts/:id/manifest. Asked again, it has fresh URLs. */
export const launcherManifestSchema = z.object({
  protocol: z.literal(1),
  attemptId: z.string(),
  runId: z.string(),
  step: z.string(),
  /** Run through `/bin/sh -c` in the source folder. */
  command: z.string(),
  /** Secrets included; the launcher adds the variables of the step contract, whose paths only it knows. */
  variables: z.record(z.string(), z.string()),
  /** Content of `$ESPALIER_PARAMS`. */
  params: z.record(z.string(), z.unknown()),
  inputs: z.record(z.string(), z.object({ type: artifactTypeSchema, files: z.array(launcherDownloadSchema) })),
  /** Absent: the step runs in an empty folder. */
  source: z.array(launcherDownloadSchema).optional(),
  outputs: z.record(z.string(), z.object({ type: artifactTypeSchema })),
  /** Content of a lock file to install before the step starts, where the step names a Python environment. */
  environment: z.object({ requirements: z.string() }).optional(),
  /** `files`: the step logs to a file store of MLflow's in its own folder, which the launcher brings at its end. */
  mlflow: z.literal("files").optional(),
  timeoutSeconds: z.number().positive().optional(),
  graceSeconds: z.number().nonnegative(),
});
export type LauncherManifest = z.infer<typeof launcherManifestSchema>;

/**
 * POST /api/v1/attempts/:id/log and .../events: the body is raw bytes from `?offset=` on. What lies before the offset that the
 * server already has is ignored, so a repeated request doubles nothing; a gap is CONFLICT, with `next` in the details.
 */
export const launcherAppendQuerySchema = z.object({ offset: z.coerce.number().int().nonnegative() });
export const launcherAppendReplySchema = z.object({
  /** Offset at which the next request begins. */
  next: z.int().nonnegative(),
  /** true: stop the step with SIGTERM, then SIGKILL after the grace period. */
  cancel: z.boolean(),
});
export type LauncherAppendReply = z.infer<typeof launcherAppendReplySchema>;

const launcherOutputFileSchema = z.object({
  path: relativePathSchema,
  size: z.int().nonnegative(),
  sha256: sha256Schema,
  executable: z.boolean(),
});

/** POST /api/v1/attempts/:id/outputs: what the step left. May be repeated, to renew URLs that expired. */
export const launcherOutputsSchema = z.strictObject({
  outputs: z.record(z.string(), z.strictObject({ files: z.array(launcherOutputFileSchema) })),
});
export type LauncherOutputs = z.infer<typeof launcherOutputsSchema>;

/**
 * POST /api/v1/attempts/:id/mlruns: the file store that the step logged to. Answered like the outputs; once nothing of it is missing, it is
 * imported before the answer. Repeating it imports nothing twice.
 */
export const launcherRunsSchema = z.strictObject({ files: z.array(launcherOutputFileSchema) });

/** Only what the store lacks is uploaded: PUT of the bytes to `url` with exactly these headers. */
export const launcherOutputsReplySchema = z.object({
  missing: z.array(z.object({ sha256: sha256Schema, url: z.string(), headers: z.record(z.string(), z.string()) })),
});
export type LauncherOutputsReply = z.infer<typeof launcherOutputsReplySchema>;

/** POST /api/v1/attempts/:id/exit: the last word; repeating it is success. `error` is the launcher's own failure. */
export const launcherExitSchema = z.strictObject({
  exitCode: z.int(),
  cancelled: z.boolean().optional(),
  error: z.string().max(8000).optional(),
});
export type LauncherExit = z.infer<typeof launcherExitSchema>;
