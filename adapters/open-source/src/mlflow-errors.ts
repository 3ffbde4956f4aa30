import { type ErrorCode, EspalierError, isEspalierError } from "@espalier/core";

const byCode: Readonly<Record<string, ErrorCode>> = {
  RESOURCE_DOES_NOT_EXIST: "NOT_FOUND",
  ENDPOINT_NOT_FOUND: "UNSUPPORTED",
  NOT_IMPLEMENTED: "UNSUPPORTED",
  RESOURCE_ALREADY_EXISTS: "ALREADY_EXISTS",
  ALREADY_EXISTS: "ALREADY_EXISTS",
  RESOURCE_CONFLICT: "CONFLICT",
  INVALID_PARAMETER_VALUE: "INVALID_INPUT",
  BAD_REQUEST: "INVALID_INPUT",
  INVALID_STATE: "CONFLICT",
  PERMISSION_DENIED: "PERMISSION_DENIED",
  UNAUTHENTICATED: "UNAUTHENTICATED",
  RESOURCE_EXHAUSTED: "RATE_LIMITED",
  REQUEST_LIMIT_EXCEEDED: "RATE_LIMITED",
  TEMPORARILY_UNAVAILABLE: "UNAVAILABLE",
};

/** What a server answered, as ours. `what` names the request, never a credential. */
export function fromMlflowAnswer(
  status: number,
  answer: { error_code?: unknown; message?: unknown } | undefined,
  what: string,
): EspalierError {
  const named = typeof answer?.error_code === "string" ? answer.error_code : undefined;
  const said = typeof answer?.message === "string" ? answer.message.slice(0, 1000) : `HTTP ${status}`;
  const code = (named === undefined ? undefined : byCode[named]) ?? byStatus(status, named);
  return new EspalierError(code, `MLflow, ${what}: ${said}`, {
    details: { status, ...(named === undefined ? {} : { mlflow: named }) },
    ...(hints[code] === undefined ? {} : { hint: hints[code] }),
  });
}

const hints: Partial<Record<ErrorCode, string>> = {
  UNAUTHENTICATED: "The server wants other credentials: a bearer token, or a user and a password.",
  UNSUPPORTED: "It is an older MLflow server, or not the address that MLFLOW_TRACKING_URI has.",
  PERMISSION_DENIED: "The server's administrator decides what these credentials may do.",
};

function byStatus(status: number, named: string | undefined): ErrorCode {
  if (status === 401) return "UNAUTHENTICATED";
  if (status === 403) return "PERMISSION_DENIED";
  // Without MLflow's own code the address is not one of an MLflow server, or of an older one.
  if (status === 404 || status === 405 || status === 501) return named === undefined ? "UNSUPPORTED" : "NOT_FOUND";
  if (status === 413) return "TOO_LARGE";
  if (status === 429) return "RATE_LIMITED";
  if (status === 507) return "DISK_FULL";
  return status >= 500 ? "UNAVAILABLE" : "INVALID_INPUT";
}

/** The request did not get an answer. */
export function fromMlflowFetch(error: unknown, uri: string, what: string): EspalierError {
  if (isEspalierError(error)) return error;
  const name = error instanceof Error ? error.name : "";
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : undefined;
  const detail = cause === undefined ? String(error) : "code" in cause ? String(cause.code) : cause.message;
  if (name === "AbortError") return new EspalierError("CANCELLED", `MLflow, ${what}: given up`, { cause: error });
  if (name === "TimeoutError") {
    return new EspalierError("TIMEOUT", `MLflow at ${uri}, ${what}: no answer in time`, { cause: error });
  }
  return new EspalierError("UNREACHABLE", `MLflow at ${uri}, ${what}: ${detail}`, {
    cause: error,
    hint: "Is the server up, and the address right?",
  });
}

/** undefined for what is not there. */
export async function orAbsent<Answer>(answer: Promise<Answer>): Promise<Answer | undefined> {
  try {
    return await answer;
  } catch (error) {
    if (isEspalierError(error) && error.code === "NOT_FOUND") return undefined;
    throw error;
  }
}
