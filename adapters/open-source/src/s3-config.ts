import type { ToolManifest } from "@espalier/core";
import { z } from "zod";

export const s3ConfigSchema = z.strictObject({
  bucket: z.string().min(1),
  /** Left out: Amazon's own, in `region`. */
  endpoint: z.url({ protocol: /^https?$/ }).optional(),
  region: z.string().optional(),
  /** Put before every key, such as `team-a/`. */
  prefix: z
    .string()
    .regex(/^[A-Za-z0-9][A-Za-z0-9._/-]*\/$/, "a prefix is of [A-Za-z0-9._/-] and ends in '/'")
    .optional(),
  /** `http://host/bucket/key` instead of `http://bucket.host/key`; true unless told for an endpoint of one's own. */
  path_style: z.boolean().optional(),
  /** Names of environment variables; left out: the AWS SDK's own chain (variables, profile, role of the machine). */
  credentials: z
    .strictObject({ access_key_id_variable: z.string().min(1), secret_access_key_variable: z.string().min(1) })
    .optional(),
});
export type S3Config = z.infer<typeof s3ConfigSchema>;

export const s3Manifest: ToolManifest = {
  tool: "s3",
  provider: "open-source",
  component: "artifacts",
  milestone: 1,
  summary: "Artifacts in a bucket of any server that speaks S3",
  capabilities: ["presign", "shared"],
  skills: ["linux", "s3"],
  ownership: {
    place: "own servers",
    setUpHours: [4, 16],
    hoursAMonth: [2, 6],
    dollarsAMonth: [20, 100],
    dollarsAGigabyteMonth: 0.02,
    lockIn: 0,
    wayOut: "objects by digest, copied by any S3 client",
    source: "estimate of this project, 2026-11; prices of small rented servers",
    asOf: "2026-11-27",
  },
  permissions: ["s3:ListBucket", "s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload"],
  cost: { money: "disks and a server, or a provider's price a GB and request", operations: "one storage server" },
  verified: { label: "real", against: "versitygw 1.7.0 (posix)", live: "not applicable" },
  needs: ["@aws-sdk/client-s3", "@aws-sdk/s3-request-presigner"],
};
