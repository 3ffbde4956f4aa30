import { type ErrorCode, EspalierError, isEspalierError } from "@espalier/core";
import { z } from "zod";

const answerSchema = z.object({
  errors: z.array(z.looseObject({ code: z.string().optional(), message: z.string().optional(), detail: z.unknown() })),
});

/** Codes of the distribution specification whose meaning is narrower than the status they come with. */
const byCode: Readonly<Record<string, ErrorCode>> = {
  BLOB_UNKNOWN: "NOT_FOUND",
  MANIFEST_BLOB_UNKNOWN: "NOT_FOUND",
  MANIFEST_UNKNOWN: "NOT_FOUND",
  NAME_UNKNOWN: "NOT_FOUND",
  DIGEST_INVALID: "INVALID_INPUT",
  MANIFEST_INVALID: "INVALID_INPUT",
  NAME_INVALID: "INVALID_INPUT",
  SIZE_INVALID: "INVALID_INPUT",
  TAG_INVALID: "INVALID_INPUT",
  UNAUTHORIZED: "UNAUTHENTICATED",
  DENIED: "PERMISSION_DENIED",
  TOOMANYREQUESTS: "RATE_LIMITED",
};

const byStatus: Readonly<Record<number, ErrorCode>> = {
  401: "UNAUTHENTICATED",
  403: "PERMISSION_DENIED",
  404: "NOT_FOUND",
  405: "UNSUPPORTED",
  413: "TOO_LARGE",
  429: "RATE_LIMITED",
  507: "DISK_FULL",
};

/** What a registry answered, as one of our errors. `what`: what was asked of it, in a few words. */
export function fromRegistryAnswer(status: number, text: string, registry: string, what: string): EspalierError {
  const answer = parsed(text);
  const first = answer?.errors[0];
  const detail = first?.detail === undefined || first.detail === null ? "" : ` (${JSON.stringify(first.detail)})`;
  const words = (first === undefined ? `HTTP ${status}` : `${first.message ?? first.code}${detail}`).slice(0, 500);
  const isFull = text.includes("no space left on device");
  const code = isFull
    ? "DISK_FULL"
    : (byCode[first?.code ?? ""] ?? byStatus[status] ?? (status >= 500 ? "UNAVAILABLE" : "INVALID_INPUT"));
  return new EspalierError(code, `The registry ${registry}, ${what}: ${words}`, {
    ...hintOf(code, registry, isFull),
    details: { status },
  });
}

function hintOf(code: ErrorCode, registry: string, isFull: boolean): { hint?: string } {
  if (isFull) return { hint: "The disk of the registry is full, not this machine's." };
  if (code === "UNAUTHENTICATED") {
    return {
      hint: `Sign in with \`podman login ${registry}\` or \`docker login ${registry}\`, or set ESPALIER_REGISTRY_USERNAME and ESPALIER_REGISTRY_PASSWORD.`,
    };
  }
  if (code === "PERMISSION_DENIED") return { hint: "Ask for the right to push to this repository, or name another." };
  if (code === "UNAVAILABLE") return { hint: "Try again: what has been sent is not sent a second time." };
  return {};
}

/** What kept a request from being answered. */
export function fromRegistryFetch(error: unknown, registry: string, what: string): EspalierError {
  if (isEspalierError(error)) return error;
  const { name, message } = error instanceof Error ? error : { name: "", message: String(error) };
  if (name === "TimeoutError") {
    return new EspalierError("TIMEOUT", `The registry ${registry}, ${what}: no answer in time`, { cause: error });
  }
  if (name === "AbortError") return new EspalierError("CANCELLED", `${what}: cancelled`, { cause: error });
  const cause = error instanceof Error ? error.cause : undefined;
  const reason = cause instanceof Error ? `${"code" in cause ? cause.code : cause.name}: ${cause.message}` : message;
  const isTls = /SSL|TLS|CERT|self-signed/i.test(reason);
  return new EspalierError("UNREACHABLE", `The registry ${registry} can not be reached, ${what}: ${reason}`, {
    cause: error,
    hint: isTls
      ? "Give a certificate of your own by NODE_EXTRA_CA_CERTS; a registry without TLS needs `plain_http: true`, or --plain-http."
      : "Is the registry up, and its name right?",
  });
}

function parsed(text: string): z.infer<typeof answerSchema> | undefined {
  try {
    return answerSchema.parse(JSON.parse(text));
  } catch {
    // A proxy's page, or nothing: the status says enough.
    return undefined;
  }
}
