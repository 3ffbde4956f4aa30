import { type ErrorCode, EspalierError, type EspalierErrorOptions, toEspalierError } from "@espalier/core";

/** MLflow's error codes, each with the HTTP status its clients expect and our code for the log. Source: mlflow/exceptions.py. */
const codes = {
  BAD_REQUEST: [400, "INVALID_INPUT"],
  INVALID_PARAMETER_VALUE: [400, "INVALID_INPUT"],
  RESOURCE_ALREADY_EXISTS: [400, "ALREADY_EXISTS"],
  UNAUTHENTICATED: [401, "UNAUTHENTICATED"],
  PERMISSION_DENIED: [403, "PERMISSION_DENIED"],
  RESOURCE_DOES_NOT_EXIST: [404, "NOT_FOUND"],
  ENDPOINT_NOT_FOUND: [404, "NOT_FOUND"],
  NOT_FOUND: [404, "NOT_FOUND"],
  RESOURCE_CONFLICT: [409, "CONFLICT"],
  REQUEST_LIMIT_EXCEEDED: [429, "RATE_LIMITED"],
  // 500 in MLflow, whose clients then repeat for minutes what can not succeed.
  INVALID_STATE: [400, "CONFLICT"],
  INTERNAL_ERROR: [500, "INTERNAL"],
  NOT_IMPLEMENTED: [501, "UNSUPPORTED"],
  TEMPORARILY_UNAVAILABLE: [503, "UNAVAILABLE"],
} as const satisfies Record<string, readonly [number, ErrorCode]>;

export type MlflowCode = keyof typeof codes;

/** What MLflow's clients understand: they match codes, and some messages word by word. */
export function mlflowError(code: MlflowCode, message: string, options: EspalierErrorOptions = {}): EspalierError {
  return new EspalierError(codes[code][1], message, { ...options, details: { ...options.details, mlflow: code } });
}

/** Our codes where no MLflow code was given. A status of 5xx would make clients repeat the request for minutes. */
const defaults: Partial<Record<ErrorCode, MlflowCode>> = {
  INVALID_INPUT: "INVALID_PARAMETER_VALUE",
  INVALID_DATA: "INVALID_PARAMETER_VALUE",
  UNGATED: "INVALID_PARAMETER_VALUE",
  TOO_LARGE: "INVALID_PARAMETER_VALUE",
  UNAUTHENTICATED: "UNAUTHENTICATED",
  PERMISSION_DENIED: "PERMISSION_DENIED",
  FOREIGN_HOST: "PERMISSION_DENIED",
  NOT_FOUND: "RESOURCE_DOES_NOT_EXIST",
  ALREADY_EXISTS: "RESOURCE_ALREADY_EXISTS",
  CONFLICT: "RESOURCE_CONFLICT",
  RATE_LIMITED: "REQUEST_LIMIT_EXCEEDED",
  UNSUPPORTED: "NOT_IMPLEMENTED",
  NOT_INSTALLED: "NOT_IMPLEMENTED",
  UNAVAILABLE: "TEMPORARILY_UNAVAILABLE",
  UNREACHABLE: "TEMPORARILY_UNAVAILABLE",
  TIMEOUT: "TEMPORARILY_UNAVAILABLE",
  DISK_FULL: "TEMPORARILY_UNAVAILABLE",
};

/** Where the status says more than MLflow's codes can. A full disk is not repeated for minutes, as a 503 would be. */
const statuses: Partial<Record<ErrorCode, number>> = { TOO_LARGE: 413, DISK_FULL: 507 };

export interface MlflowReply {
  status: number;
  body: { error_code: MlflowCode; message: string };
}

/** An error as this face tells it. The hint follows the message, since MLflow's form has no place of its own for it. */
export function mlflowReply(thrown: unknown): MlflowReply {
  const error = toEspalierError(thrown);
  const given = error.details["mlflow"];
  const code =
    typeof given === "string" && given in codes ? (given as MlflowCode) : (defaults[error.code] ?? "INTERNAL_ERROR");
  const message = given === undefined && error.hint !== undefined ? `${error.message} (${error.hint})` : error.message;
  return {
    status: statuses[error.code] ?? codes[code][0],
    body: { error_code: code, message },
  };
}
