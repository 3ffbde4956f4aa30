import { EspalierError, isEspalierError } from "@espalier/core";

/** Two transactions in each other's way; running one again is all there is to do. */
export function isSerializationFailure(error: unknown): boolean {
  const cause = isEspalierError(error) ? error.cause : error;
  const state = cause instanceof Error && "code" in cause ? cause.code : undefined;
  return state === "40001" || state === "40P01";
}

/** A failure of `pg` as an EspalierError; what is unknown passes unchanged and becomes INTERNAL at the edge. */
export function fromPostgresError(error: unknown): unknown {
  if (isEspalierError(error) || !(error instanceof Error)) return error;
  const state = "code" in error && typeof error.code === "string" ? error.code : "";
  const options = { cause: error, at: "DATABASE_URL" };
  if (state === "22021") {
    return new EspalierError("INVALID_INPUT", "A text holds a NUL character, which PostgreSQL can not store", {
      cause: error,
    });
  }
  if (state === "40001" || state === "40P01") {
    return new EspalierError("CONFLICT", "Two changes of the record met", { ...options, hint: "Try again." });
  }
  if (state.startsWith("23")) {
    return new EspalierError("CONFLICT", `The record refused a row: ${error.message}`, { cause: error });
  }
  if (state.startsWith("28")) {
    return new EspalierError("UNAUTHENTICATED", `PostgreSQL refuses the sign-in: ${error.message}`, {
      ...options,
      hint: "Check the user and the password in DATABASE_URL.",
    });
  }
  if (state === "3D000") {
    return new EspalierError("NOT_FOUND", `PostgreSQL has no such database: ${error.message}`, {
      ...options,
      hint: "Create it (`createdb <name>`) or correct DATABASE_URL.",
    });
  }
  if (state === "42501") {
    return new EspalierError("PERMISSION_DENIED", `PostgreSQL refuses: ${error.message}`, {
      ...options,
      hint: "Grant the user of DATABASE_URL the right to create and use tables in its schema.",
    });
  }
  if (state === "53100") {
    return new EspalierError("DISK_FULL", "The disk of the PostgreSQL server is full", {
      ...options,
      hint: "Free space there.",
    });
  }
  if (isConnectionFailure(state, error.message)) {
    return new EspalierError("UNAVAILABLE", `PostgreSQL does not answer: ${error.message || state}`, {
      ...options,
      hint: "Check that the server runs and that DATABASE_URL names its host and port.",
    });
  }
  return error;
}

function isConnectionFailure(state: string, message: string): boolean {
  return (
    ["ECONNREFUSED", "ECONNRESET", "ENOTFOUND", "ETIMEDOUT", "EHOSTUNREACH", "EPIPE", "EAI_AGAIN"].includes(state) ||
    state.startsWith("08") ||
    state.startsWith("53") ||
    state.startsWith("57P") ||
    message.startsWith("Connection terminated") ||
    message.startsWith("timeout exceeded when trying to connect")
  );
}
