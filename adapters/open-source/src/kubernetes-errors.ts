import { type ErrorCode, EspalierError } from "@espalier/core";
import { z } from "zod";
import { parseJson } from "./parse-json.ts";

const statusSchema = z.looseObject({
  reason: z.string().nullish(),
  message: z.string().nullish(),
});

interface Meaning {
  code: ErrorCode;
  hint?: string;
}

/** One pure function for everything an API server may refuse with: a `Status` object, or the text of a proxy before it. */
export function fromKubernetesAnswer(status: number, text: string, what: string): EspalierError {
  const parsed = statusSchema.safeParse(parseJson(text));
  const { reason, message } = parsed.success ? parsed.data : { reason: undefined, message: text.trim().slice(0, 500) };
  const { code, hint } = meaningOf(status, message ?? "");
  return new EspalierError(code, `Kubernetes, ${what}: ${message || `HTTP ${status}`}`, {
    at: "compute",
    details: { httpStatus: status, ...(reason ? { reason } : {}) },
    ...(hint === undefined ? {} : { hint }),
  });
}

function meaningOf(status: number, message: string): Meaning {
  if (status === 401) {
    return { code: "UNAUTHENTICATED", hint: "The kubeconfig's credential is refused: log in to the cluster again." };
  }
  if (status === 403 && /exceeded quota/.test(message)) {
    return { code: "RATE_LIMITED", hint: "The namespace's quota is used up; it goes on once others have ended." };
  }
  if (status === 403) {
    return {
      code: "PERMISSION_DENIED",
      hint: "The account needs create, get, list, patch and delete on jobs, create on secrets and services, get and list on pods, pods/log and events.",
    };
  }
  if (status === 404) return { code: "NOT_FOUND", hint: "Does the namespace exist?" };
  if (status === 409) return { code: "CONFLICT" };
  if (status === 413) return { code: "TOO_LARGE" };
  if (status === 429) return { code: "RATE_LIMITED" };
  if (status >= 500) return { code: "UNAVAILABLE" };
  return { code: "INVALID_INPUT" };
}

/** What the request itself fails with. */
export function fromKubernetesRequestError(error: unknown, server: string, what: string): EspalierError {
  const name = error instanceof Error ? error.name : "";
  if (name === "AbortError") return new EspalierError("CANCELLED", `Kubernetes, ${what}: cancelled`, { cause: error });
  if (name === "TimeoutError") {
    return new EspalierError("TIMEOUT", `Kubernetes, ${what}: no answer in time`, { cause: error, at: "compute" });
  }
  const words = error instanceof Error ? error.message : String(error);
  const isTls = /certificate|self-signed|SSL|TLS/i.test(words);
  return new EspalierError("UNREACHABLE", `Kubernetes, ${what}: ${server} does not answer: ${words}`, {
    cause: error,
    at: "compute",
    hint: isTls
      ? "Give the cluster's `certificate-authority` in the kubeconfig."
      : "Is the API server up, and the kubeconfig's `server` right?",
  });
}
