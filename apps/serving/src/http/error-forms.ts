import type { ErrorCode, EspalierError } from "@espalier/core";
import type { ErrorForm } from "./exchange.ts";

/**
 * Open Inference Protocol, and V1 of TensorFlow Serving, KServe and Vertex AI: `{"error"}`, with the statuses of Triton and KServe where they
 * differ from the table.
 */
export const plainError: ErrorForm = (error) => {
  const { code, message, at, hint } = error.toJSON();
  return { status: statusOf(error), body: JSON.stringify({ error: message, code, at, hint }) };
};

/** What MLflow's clients know; others they would take for an internal error. */
const mlflowCodes: Partial<Record<ErrorCode, string>> = {
  INVALID_INPUT: "BAD_REQUEST",
  TOO_LARGE: "BAD_REQUEST",
  NOT_FOUND: "RESOURCE_DOES_NOT_EXIST",
  ALREADY_EXISTS: "RESOURCE_ALREADY_EXISTS",
  PERMISSION_DENIED: "PERMISSION_DENIED",
  UNAUTHENTICATED: "UNAUTHENTICATED",
  RATE_LIMITED: "REQUEST_LIMIT_EXCEEDED",
  UNAVAILABLE: "TEMPORARILY_UNAVAILABLE",
  TIMEOUT: "DEADLINE_EXCEEDED",
  CANCELLED: "CANCELLED",
  UNSUPPORTED: "NOT_IMPLEMENTED",
};

/** What MLflow's clients know a code as. */
export function mlflowCode(code: ErrorCode): string {
  return mlflowCodes[code] ?? "INTERNAL_ERROR";
}

/** MLflow: `{"error_code", "message"}` in MLflow's words; `code` is ours. */
export const mlflowError: ErrorForm = (error) => {
  const { code, message, at, hint } = error.toJSON();
  const status = code === "TIMEOUT" ? 504 : statusOf(error);
  return {
    status,
    body: JSON.stringify({ error_code: mlflowCode(code), message, code, at, hint }),
  };
};

/** A deadline that passed in the queue is an overload (Triton: REJECTED, 503), not a gateway that got no answer. */
function statusOf(error: EspalierError): number {
  return error.code === "TIMEOUT" ? 503 : error.httpStatus;
}
