import { type CallContext, type ErrorCode, EspalierError, isEspalierError, type ToolHost } from "@espalier/core";
import { z } from "zod";
import { parseJson } from "./parse-json.ts";

const requestMilliseconds = 30_000;

/** What the services that take telemetry by HTTP have in common. */
export const telemetryShape = {
  url: z
    .url({ protocol: /^https?$/ })
    .refine((address) => !/^[^/]*\/\/[^/]*@/.test(address), "credentials come from secrets, not in the address"),
  token_secret: z.string().min(1).optional().describe("Name of the secret that holds the token."),
  token_header: z
    .string()
    .regex(/^[A-Za-z0-9-]+$/)
    .optional()
    .describe("Header that carries the token as it is; left out, `Authorization` with `Bearer`."),
};
export type TelemetryConfig = z.infer<z.ZodObject<typeof telemetryShape>>;

/** Posts a JSON document and answers what came back, a JSON document or undefined. Errors as those of `LineageMirror`, and INVALID_INPUT, TOO_LARGE. */
export type PostTelemetry = (body: string, context?: CallContext) => Promise<unknown>;

export function connectTelemetry(
  address: string,
  config: TelemetryConfig,
  component: "lineage" | "traces",
  host: Pick<ToolHost, "secret">,
): PostTelemetry {
  return async (body, { signal } = {}) => {
    const headers = { "content-type": "application/json", ...(await credentials(config, component, host)) };
    const timeout = AbortSignal.timeout(requestMilliseconds);
    let status: number;
    let text: string;
    try {
      const response = await fetch(address, {
        method: "POST",
        headers,
        body,
        redirect: "error",
        signal: signal === undefined ? timeout : AbortSignal.any([signal, timeout]),
      });
      status = response.status;
      text = (await response.text()).slice(0, 10_000);
    } catch (error) {
      throw unanswered(error, address);
    }
    // A service may answer with nothing, or with words; that it took what was sent is in the status.
    if (status >= 200 && status < 300) return parseJson(text);
    throw new EspalierError(
      codeOf(status),
      `${address} answered ${status}: ${text.trim().slice(0, 500) || "nothing"}`,
      {
        details: { status },
        at: `${component}.with`,
      },
    );
  };
}

/** What the service will never take, however often it is sent; anything else is thrown on, and tried again later. */
export function refusalOf(error: unknown): string {
  if (isEspalierError(error) && (error.code === "INVALID_INPUT" || error.code === "TOO_LARGE")) return error.message;
  throw error;
}

async function credentials(
  { token_secret: name, token_header: header }: TelemetryConfig,
  component: string,
  { secret }: Pick<ToolHost, "secret">,
): Promise<Record<string, string>> {
  if (name === undefined) return {};
  const found = await secret?.(name);
  if (found === undefined) {
    throw new EspalierError("UNAUTHENTICATED", `There is no secret ${name}`, {
      at: `${component}.with.token_secret`,
      hint: `espalier secret set ${name}`,
    });
  }
  return header === undefined ? { authorization: `Bearer ${found.reveal()}` } : { [header]: found.reveal() };
}

function codeOf(status: number): ErrorCode {
  if (status === 401) return "UNAUTHENTICATED";
  if (status === 403) return "PERMISSION_DENIED";
  if (status === 404 || status === 405 || status === 415) return "UNSUPPORTED";
  if (status === 408) return "TIMEOUT";
  if (status === 413) return "TOO_LARGE";
  if (status === 429) return "RATE_LIMITED";
  return status >= 500 ? "UNAVAILABLE" : "INVALID_INPUT";
}

function unanswered(error: unknown, address: string): EspalierError {
  const name = error instanceof Error ? error.name : "";
  if (name === "AbortError") return new EspalierError("CANCELLED", `${address}: given up`, { cause: error });
  if (name === "TimeoutError") return new EspalierError("TIMEOUT", `${address}: no answer in time`, { cause: error });
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : undefined;
  const detail = cause === undefined ? String(error) : "code" in cause ? String(cause.code) : cause.message;
  return new EspalierError("UNREACHABLE", `${address}: ${detail}`, {
    cause: error,
    hint: "Is the service up, and the address right?",
  });
}
