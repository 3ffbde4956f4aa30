import { EspalierError } from "@espalier/core";
import type { S3Api } from "./s3-api.ts";
import type { S3Config } from "./s3-config.ts";

const checksumHeader = "x-amz-checksum-sha256";

/** The only lines that know Amazon's SDK, which is loaded on the first use of an S3 store. */
export async function connectS3(config: S3Config): Promise<S3Api> {
  const [{ S3, GetObjectCommand, PutObjectCommand }, { getSignedUrl }] = await Promise.all([
    import("@aws-sdk/client-s3"),
    import("@aws-sdk/s3-request-presigner"),
  ]).catch((error: unknown) => {
    throw new EspalierError("NOT_INSTALLED", "The S3 store needs Amazon's S3 client, which is not installed", {
      cause: error,
      hint: "npm install @aws-sdk/client-s3 @aws-sdk/s3-request-presigner",
    });
  });
  const client = new S3({
    region: config.region ?? "us-east-1",
    ...(config.endpoint === undefined ? {} : { endpoint: config.endpoint }),
    forcePathStyle: config.path_style ?? config.endpoint !== undefined,
    maxAttempts: 4,
    // Otherwise signed URLs carry the checksum of an empty body, and servers that know no trailers refuse uploads.
    requestChecksumCalculation: "WHEN_REQUIRED",
    responseChecksumValidation: "WHEN_REQUIRED",
    ...credentialsOf(config),
  });
  return {
    putObject: (request, options) => client.putObject(request, options),
    getObject: async (request, options) => {
      const response = await client.getObject(request, options);
      // In Node the SDK's body is a Readable, though its type also allows the browser's streams.
      return { ETag: response.ETag, Body: response.Body as AsyncIterable<Uint8Array> | undefined };
    },
    headObject: (request, options) => client.headObject(request, options),
    deleteObject: (request, options) => client.deleteObject(request, options),
    listObjectsV2: (request, options) => client.listObjectsV2(request, options),
    createMultipartUpload: (request, options) => client.createMultipartUpload(request, options),
    uploadPart: (request, options) => client.uploadPart(request, options),
    completeMultipartUpload: (request, options) => client.completeMultipartUpload(request, options),
    abortMultipartUpload: (request) => client.abortMultipartUpload(request),
    presign: (method, request, expiresSeconds) =>
      getSignedUrl(client, method === "GET" ? new GetObjectCommand(request) : new PutObjectCommand(request), {
        expiresIn: expiresSeconds,
        // As a header it is part of the signature, so an upload of other bytes is refused.
        unhoistableHeaders: new Set([checksumHeader]),
      }),
  };
}

/** Names of variables, never values, stand in a stack file; without them the SDK's own chain decides. */
function credentialsOf(config: S3Config): { credentials?: { accessKeyId: string; secretAccessKey: string } } {
  if (!config.credentials) return {};
  const read = (variable: string): string => {
    const value = process.env[variable];
    if (value) return value;
    throw new EspalierError("UNAUTHENTICATED", `The environment variable ${variable} is not set`, {
      at: "artifacts.with.credentials",
      hint: `Set ${variable} where the control plane starts.`,
    });
  };
  return {
    credentials: {
      accessKeyId: read(config.credentials.access_key_id_variable),
      secretAccessKey: read(config.credentials.secret_access_key_variable),
    },
  };
}
