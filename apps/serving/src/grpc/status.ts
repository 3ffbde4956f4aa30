import { type ErrorCode, type EspalierError, errorTable } from "@espalier/core";

/** gRPC's status codes, as far as this server sends them. */
const statusCodes = {
  OK: 0,
  CANCELLED: 1,
  INVALID_ARGUMENT: 3,
  DEADLINE_EXCEEDED: 4,
  NOT_FOUND: 5,
  ALREADY_EXISTS: 6,
  PERMISSION_DENIED: 7,
  RESOURCE_EXHAUSTED: 8,
  ABORTED: 10,
  UNIMPLEMENTED: 12,
  INTERNAL: 13,
  UNAVAILABLE: 14,
  DATA_LOSS: 15,
  UNAUTHENTICATED: 16,
} as const;
type StatusName = keyof typeof statusCodes;

const byCode: Partial<Record<ErrorCode, StatusName>> = {
  CANCELLED: "CANCELLED",
  UNAUTHENTICATED: "UNAUTHENTICATED",
  PERMISSION_DENIED: "PERMISSION_DENIED",
  NOT_FOUND: "NOT_FOUND",
  ALREADY_EXISTS: "ALREADY_EXISTS",
  CONFLICT: "ABORTED",
  TOO_LARGE: "RESOURCE_EXHAUSTED",
  RATE_LIMITED: "RESOURCE_EXHAUSTED",
  TIMEOUT: "DEADLINE_EXCEEDED",
  UNSUPPORTED: "UNIMPLEMENTED",
  NOT_INSTALLED: "UNIMPLEMENTED",
  CORRUPTED: "DATA_LOSS",
};

/** The status of an error: its own where gRPC has one, else by its HTTP status. */
export function statusOf(error: EspalierError): number {
  const own = byCode[error.code];
  if (own !== undefined) return statusCodes[own];
  const { httpStatus } = errorTable[error.code];
  if (httpStatus === 503 || httpStatus === 507) return statusCodes.UNAVAILABLE;
  return httpStatus < 500 ? statusCodes.INVALID_ARGUMENT : statusCodes.INTERNAL;
}

/** What the caller reads: the message, its place where the message does not say it, and the code of docs/errors.md. */
export function statusMessage({ message, at, hint, code }: EspalierError): string {
  const place = at === undefined || message.includes(at) ? "" : ` (at ${at})`;
  return `${message}${place}${hint === undefined ? "" : `. ${hint}`} [${code}]`;
}

/** The form of `grpc-message`: printable ASCII but `%`, the rest as percent-escaped UTF-8. */
export function escapeStatusMessage(message: string): string {
  let escaped = "";
  for (const byte of Buffer.from(message)) {
    if (byte >= 0x20 && byte <= 0x7e && byte !== 0x25) escaped += String.fromCharCode(byte);
    else escaped += `%${byte.toString(16).toUpperCase().padStart(2, "0")}`;
  }
  return escaped;
}
