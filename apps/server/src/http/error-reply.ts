import type { ErrorBody } from "@espalier/contract";
import { EspalierError, isEspalierError, toEspalierError } from "@espalier/core";
import { hasZodFastifySchemaValidationErrors } from "fastify-type-provider-zod";

/** Anything thrown while a request was answered, as what the client may know. */
export function errorForClient(error: unknown, requestId: string): EspalierError {
  if (isEspalierError(error) && error.code !== "INTERNAL") return error;
  if (hasZodFastifySchemaValidationErrors(error)) return invalidInput(error);
  const status = statusOf(error);
  if (status !== undefined && status < 500) return ofFramework(error, status);
  if (isStackOverflow(error)) {
    return new EspalierError("INVALID_INPUT", "The request's document is nested too deeply", {
      at: "body",
      cause: error,
    });
  }
  const known = toEspalierError(error);
  if (known.code !== "INTERNAL") return known;
  // The cause may hold SQL, paths or a stack: it goes to the log, the client gets the request's id.
  return new EspalierError("INTERNAL", "Something went wrong inside Espalier", {
    details: { requestId },
    hint: `The control plane's log has the cause under request ${requestId}.`,
  });
}

/** What JSON.parse takes apart at any depth, writing it again does not. */
export function isStackOverflow(error: unknown): boolean {
  return error instanceof RangeError && error.message.includes("call stack");
}

/** One line of log. An error of ours says what is wrong and where; a trace of how it was found out helps nobody. */
export function summaryOf({ code, message, at, cause }: EspalierError): Record<string, string> {
  return {
    code,
    message,
    ...(at === undefined ? {} : { at }),
    ...(cause instanceof Error ? { cause: rootOf(cause).message } : {}),
  };
}

/** `fetch failed` says nothing; why is in what caused it. */
function rootOf(error: Error): Error {
  return error.cause instanceof Error ? rootOf(error.cause) : error;
}

/** For the header of that name. */
export function retryAfterSeconds(error: EspalierError): number {
  const seconds = error.details["retryAfterSeconds"];
  return typeof seconds === "number" ? seconds : 1;
}

/** Absolute paths below the project become relative ones. */
export function withoutProjectPaths(text: string, projectDirectory: string): string {
  return text.replaceAll(`${projectDirectory}/`, "").replaceAll(projectDirectory, ".");
}

export function errorBody(error: EspalierError, projectDirectory: string): ErrorBody {
  const clean = (value: unknown): unknown => {
    if (typeof value === "string") return withoutProjectPaths(value, projectDirectory);
    if (Array.isArray(value)) return value.map(clean);
    if (typeof value === "object" && value !== null) {
      return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, clean(member)]));
    }
    return value;
  };
  return { error: clean(error.toJSON()) as ErrorBody["error"] };
}

function invalidInput(error: {
  validation: { instancePath: string; message?: string; params?: unknown }[];
  validationContext?: string;
}): EspalierError {
  const problems = error.validation.map((problem) => ({
    at: `${error.validationContext ?? "request"}${problem.instancePath.replaceAll("/", ".")}`.replace(/\.$/, ""),
    message: wrongKey(problem.params) ?? problem.message ?? "invalid",
  }));
  const first = problems[0];
  return new EspalierError("INVALID_INPUT", first === undefined ? "The request is invalid" : first.message, {
    ...(first === undefined ? {} : { at: first.at }),
    details: { problems },
  });
}

/** Of a key that is none, Zod's own message says only that; the schema's says why. */
function wrongKey(params: unknown): string | undefined {
  if (typeof params !== "object" || params === null || !("issues" in params) || !Array.isArray(params.issues))
    return undefined;
  const [first] = params.issues as { message?: string }[];
  return first?.message;
}

function statusOf(error: unknown): number | undefined {
  return error instanceof Error && "statusCode" in error && typeof error.statusCode === "number"
    ? error.statusCode
    : undefined;
}

function ofFramework(error: unknown, status: number): EspalierError {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  if (status === 413) return new EspalierError("TOO_LARGE", "The request's body is too large", { cause: error });
  if (code === "FST_ERR_CTP_INVALID_MEDIA_TYPE" || status === 415) {
    return new EspalierError("INVALID_INPUT", "The body must be JSON", {
      at: "headers.content-type",
      hint: "Send `content-type: application/json`.",
    });
  }
  if (code === "FST_ERR_CTP_EMPTY_JSON_BODY")
    return new EspalierError("INVALID_INPUT", "The body is empty", { at: "body" });
  if (error instanceof SyntaxError) {
    return new EspalierError("INVALID_INPUT", "The body is not valid JSON", {
      at: "body",
      cause: error,
      hint: "Check for a part that is cut off, and for a key that JSON objects here can not have, such as __proto__.",
    });
  }
  return new EspalierError("INVALID_INPUT", "The request could not be read", { at: "body", cause: error });
}
