/**
 * The one table of errors. `docs/errors.md` and the HTTP contract are tested against it in both directions.
 * Exit codes: 1 a step or verdict said no, 2 the user's input, 3 something is missing on this machine or elsewhere,
 * 4 not allowed, 5 conflict, 6 not found, 7 temporary, 8 data is damaged, 70 a fault of Espalier itself, 130 interrupted.
 */
export const errorTable = {
  INVALID_INPUT: { httpStatus: 400, retryable: false, exitCode: 2 },
  INVALID_PIPELINE: { httpStatus: 422, retryable: false, exitCode: 2 },
  INVALID_CONFIG: { httpStatus: 422, retryable: false, exitCode: 2 },
  INVALID_DATA: { httpStatus: 422, retryable: false, exitCode: 1 },
  SIGNATURE_MISMATCH: { httpStatus: 422, retryable: false, exitCode: 1 },
  UNGATED: { httpStatus: 422, retryable: false, exitCode: 2 },
  GATE_REFUSED: { httpStatus: 422, retryable: false, exitCode: 1 },
  STEP_FAILED: { httpStatus: 422, retryable: false, exitCode: 1 },
  CANCELLED: { httpStatus: 409, retryable: false, exitCode: 130 },
  UNAUTHENTICATED: { httpStatus: 401, retryable: false, exitCode: 4 },
  PERMISSION_DENIED: { httpStatus: 403, retryable: false, exitCode: 4 },
  FOREIGN_HOST: { httpStatus: 403, retryable: false, exitCode: 4 },
  NOT_FOUND: { httpStatus: 404, retryable: false, exitCode: 6 },
  ALREADY_EXISTS: { httpStatus: 409, retryable: false, exitCode: 5 },
  CONFLICT: { httpStatus: 409, retryable: false, exitCode: 5 },
  TOO_LARGE: { httpStatus: 413, retryable: false, exitCode: 2 },
  RATE_LIMITED: { httpStatus: 429, retryable: true, exitCode: 7 },
  TIMEOUT: { httpStatus: 504, retryable: true, exitCode: 7 },
  UNAVAILABLE: { httpStatus: 503, retryable: true, exitCode: 7 },
  UNREACHABLE: { httpStatus: 503, retryable: true, exitCode: 7 },
  UNSUPPORTED: { httpStatus: 501, retryable: false, exitCode: 3 },
  NOT_INSTALLED: { httpStatus: 501, retryable: false, exitCode: 3 },
  ENVIRONMENT_FAILED: { httpStatus: 422, retryable: false, exitCode: 3 },
  SCHEMA_TOO_NEW: { httpStatus: 503, retryable: false, exitCode: 3 },
  PORT_IN_USE: { httpStatus: 503, retryable: false, exitCode: 3 },
  DISK_FULL: { httpStatus: 507, retryable: true, exitCode: 7 },
  CORRUPTED: { httpStatus: 500, retryable: false, exitCode: 8 },
  INTERNAL: { httpStatus: 500, retryable: false, exitCode: 70 },
} as const satisfies Record<string, { httpStatus: number; retryable: boolean; exitCode: number }>;

export type ErrorCode = keyof typeof errorTable;

/** Safe to show and to log: never a secret, never a stack trace. */
export type ErrorDetails = Readonly<Record<string, unknown>>;

export interface EspalierErrorOptions {
  cause?: unknown;
  details?: ErrorDetails;
  /** Where: `stacks.aws.artifacts.with.bucket` or `pipelines/train.yaml:14:9`. */
  at?: string;
  /** What to do next, in one sentence or one command. */
  hint?: string;
}

/** Every error that reaches a user. Recognise it by `code`, never by `instanceof` (copies of this package may coexist). */
export class EspalierError extends Error {
  readonly code: ErrorCode;
  readonly details: ErrorDetails;
  readonly at: string | undefined;
  readonly hint: string | undefined;

  constructor(code: ErrorCode, message: string, options: EspalierErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = "EspalierError";
    this.code = code;
    this.details = options.details ?? {};
    this.at = options.at;
    this.hint = options.hint;
  }

  get httpStatus(): number {
    return errorTable[this.code].httpStatus;
  }
  get retryable(): boolean {
    return errorTable[this.code].retryable;
  }
  get exitCode(): number {
    return errorTable[this.code].exitCode;
  }

  toJSON(): { code: ErrorCode; message: string; at?: string; hint?: string; details: ErrorDetails } {
    return {
      code: this.code,
      message: this.message,
      ...(this.at === undefined ? {} : { at: this.at }),
      ...(this.hint === undefined ? {} : { hint: this.hint }),
      details: this.details,
    };
  }
}

export function isEspalierError(error: unknown): error is EspalierError {
  return error instanceof Error && "code" in error && typeof error.code === "string" && error.code in errorTable;
}

/** Anything thrown, as an EspalierError; what is unknown becomes INTERNAL, a full disk DISK_FULL. */
export function toEspalierError(error: unknown): EspalierError {
  if (isEspalierError(error)) return error;
  const systemCode = error instanceof Error && "code" in error ? error.code : undefined;
  const message = error instanceof Error ? error.message : String(error);
  if (systemCode === "ENOSPC" || systemCode === "EDQUOT") {
    return new EspalierError("DISK_FULL", `The disk is full: ${message}`, {
      cause: error,
      hint: "Free some space (`espalier gc` previews what can go), then `espalier resume`.",
    });
  }
  return new EspalierError("INTERNAL", message, { cause: error });
}
