import { type ErrorCode, EspalierError, isEspalierError } from "@espalier/core";

interface ServiceError {
  name: string;
  message: string;
  code?: string;
  $metadata?: { httpStatusCode?: number };
}

const unreachable = ["ECONNREFUSED", "ECONNRESET", "ENOTFOUND", "EAI_AGAIN", "ETIMEDOUT", "EHOSTUNREACH", "EPIPE"];

const byName: Readonly<Record<string, { code: ErrorCode; hint?: string }>> = {
  NoSuchKey: { code: "NOT_FOUND" },
  NotFound: { code: "NOT_FOUND" },
  NoSuchBucket: { code: "NOT_FOUND", hint: "Create the bucket, or correct `artifacts.with.bucket`." },
  AbortError: { code: "CANCELLED" },
  TimeoutError: { code: "TIMEOUT" },
  SlowDown: { code: "RATE_LIMITED" },
  RequestTimeTooSkewed: { code: "UNAUTHENTICATED", hint: "Set this machine's clock." },
  ExpiredToken: { code: "UNAUTHENTICATED", hint: "Renew the credentials." },
  CredentialsProviderError: {
    code: "UNAUTHENTICATED",
    hint: "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or `artifacts.with.credentials`.",
  },
  InvalidAccessKeyId: { code: "PERMISSION_DENIED", hint: "The server does not know the access key." },
  SignatureDoesNotMatch: { code: "PERMISSION_DENIED", hint: "The secret access key is wrong." },
  AccessDenied: { code: "PERMISSION_DENIED", hint: "Allow the key to read, write, delete and list the bucket." },
  QuotaExceeded: { code: "DISK_FULL" },
  BadDigest: { code: "INVALID_INPUT" },
};

/** One pure function for everything an S3 server or the SDK may answer. `what` says which object, in the store's words. */
export function fromS3Error(error: unknown, what: string): EspalierError {
  if (isEspalierError(error)) return error;
  const found = error instanceof Error ? (error as Error & ServiceError) : undefined;
  const { code, hint } = classify(found);
  return new EspalierError(code, `S3, ${what}: ${found?.name ?? "error"}: ${found?.message ?? String(error)}`, {
    cause: error,
    at: "artifacts",
    ...(hint === undefined ? {} : { hint }),
  });
}

function classify(error: ServiceError | undefined): { code: ErrorCode; hint?: string } {
  if (!error) return { code: "INTERNAL" };
  const named = byName[error.name];
  if (named) return named;
  if (error.code !== undefined && unreachable.includes(error.code)) {
    return { code: "UNREACHABLE", hint: "Is the server up, and `artifacts.with.endpoint` right?" };
  }
  const status = error.$metadata?.httpStatusCode ?? 0;
  if (status === 404) return { code: "NOT_FOUND" };
  if (status === 401) return { code: "UNAUTHENTICATED" };
  if (status === 403) return { code: "PERMISSION_DENIED" };
  if (status === 429) return { code: "RATE_LIMITED" };
  if (status === 507) return { code: "DISK_FULL" };
  if (status >= 500) return { code: "UNAVAILABLE" };
  if (status >= 400) return { code: "INVALID_INPUT" };
  return { code: "INTERNAL" };
}

/** Another writer was first: with content addressing its bytes are ours. */
export function isAlreadyThere(error: unknown): boolean {
  const found = error as Partial<ServiceError> | undefined;
  return found?.name === "PreconditionFailed" || found?.$metadata?.httpStatusCode === 412;
}

/** Two conditional writes at once; Amazon asks the loser to try again. */
export function isConditionalConflict(error: unknown): boolean {
  return (error as Partial<ServiceError> | undefined)?.name === "ConditionalRequestConflict";
}
