import { type ErrorCode, EspalierError, errorTable } from "@espalier/core";
import { z } from "zod";

const codes = Object.keys(errorTable) as [ErrorCode, ...ErrorCode[]];

/** The body of every answer that is not a success: `{error: {code, message, at, hint, details}}`. */
export const errorBodySchema = z.object({
  error: z.object({
    code: z.enum(codes),
    message: z.string(),
    /** Where: a place in the configuration or a file of the project. */
    at: z.string().optional(),
    /** What to do next. */
    hint: z.string().optional(),
    details: z.record(z.string(), z.unknown()),
  }),
});
export type ErrorBody = z.infer<typeof errorBodySchema>;

/** Turns an answer that is not a success back into the error that the server threw. */
export function errorFromResponse(status: number, text: string): EspalierError {
  const parsed = errorBodySchema.safeParse(parseJson(text));
  if (parsed.success) {
    const { code, message, at, hint, details } = parsed.data.error;
    return new EspalierError(code, message, {
      details,
      ...(at === undefined ? {} : { at }),
      ...(hint === undefined ? {} : { hint }),
    });
  }
  return new EspalierError(codeOfStatus(status), `The server answered ${status} without an error of Espalier's`, {
    hint: "Is this URL a control plane? `espalier doctor` checks it.",
    details: { status },
  });
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function codeOfStatus(status: number): ErrorCode {
  if (status === 401) return "UNAUTHENTICATED";
  if (status === 403) return "PERMISSION_DENIED";
  if (status === 404) return "NOT_FOUND";
  if (status === 413) return "TOO_LARGE";
  if (status === 429) return "RATE_LIMITED";
  return status >= 500 ? "UNAVAILABLE" : "INVALID_INPUT";
}
