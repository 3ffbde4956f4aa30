import type { IncomingHttpHeaders } from "node:http";
import { type RoutedVersion, servingHeaders } from "@espalier/core";
import { badRequest } from "../http/request-error.ts";

/** Paths that go to a model server; everything else is answered by the router, so that no operational route is reachable from outside. */
const predictPath =
  /^\/(invocations|score|predict|version|v1\/models(\/[^/]+)?|v2|v2\/models\/stats|v2\/models\/[^/]+(\/versions\/[^/]+)?(\/(infer|ready|config|stats))?)$/;
const versionInPath = /^\/v2\/models\/([^/]+)\/versions\/([^/]+)/;
/** Which models a program has loaded is not for its callers to say, unless its `paths` name this. */
const modelControl = /^\/v2\/repository\/models\//;

export function isPredictPath(path: string): boolean {
  return predictPath.test(path);
}

/** Whether a program of the user's behind this endpoint wants the path. */
export function isPathOf({ paths }: RoutedVersion, path: string): boolean {
  if (paths === undefined || leadsElsewhere(path)) return false;
  const fitting = paths.filter((beginning) => path.startsWith(beginning));
  return modelControl.test(path)
    ? fitting.some((beginning) => beginning.startsWith("/v2/repository"))
    : fitting.length > 0;
}

/** A program that resolves `..` would answer at another path than the one that was let through. */
function leadsElsewhere(path: string): boolean {
  const plain = unescaped(path);
  return plain === undefined || plain.split(/[/\\]/).some((part) => part === "." || part === "..");
}

/** undefined: it has an escape that is none. */
function unescaped(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}

/** The version that the path names; undefined when it names none. A broken escape is no version's name: as it is, it is not found. */
export function versionOfPath(path: string): string | undefined {
  const text = versionInPath.exec(path)?.[2];
  return text === undefined ? undefined : (unescaped(text) ?? text);
}

/** The model, or the endpoint, that the path names beside the version. */
export function modelOfPath(path: string): string | undefined {
  const text = versionInPath.exec(path)?.[1];
  return text === undefined ? undefined : unescaped(text);
}

/** A caller's own header for its patience; the router's, with what is left of it, is for the server behind. */
const patienceHeaders = [servingHeaders.timeout, "x-request-timeout-ms"];

/** Milliseconds that the caller waits; undefined when it does not say. Errors: INVALID_INPUT. */
export function givenTimeout(headers: IncomingHttpHeaders): number | undefined {
  let least: number | undefined;
  for (const name of patienceHeaders) {
    const text = headers[name];
    if (text === undefined) continue;
    const milliseconds = Number(text);
    if (!(milliseconds > 0 && milliseconds <= 86_400_000)) {
      throw badRequest(`${name} must be a number of milliseconds from 1 to a day, got "${String(text).slice(0, 60)}"`);
    }
    least = Math.min(least ?? milliseconds, milliseconds);
  }
  return least;
}

const forwarded = [
  "content-type",
  "content-encoding",
  "accept",
  "inference-header-content-length",
  "traceparent",
  "tracestate",
  "x-request-id",
  "x-ms-client-request-id",
  servingHeaders.predictionId,
  servingHeaders.eventTime,
];
export const returned = [
  "content-type",
  "content-encoding",
  "inference-header-content-length",
  "retry-after",
  "x-request-id",
  "x-ms-client-request-id",
  servingHeaders.predictionId,
];

/** Between two neighbours only (RFC 9110 7.6.1), or made anew for the next one. */
const notPassedOn = new Set([
  "connection",
  "keep-alive",
  "proxy-authenticate",
  "proxy-authorization",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
  "host",
  "content-length",
  "expect",
  servingHeaders.capture,
]);

/** A program of the user's gets the headers that its callers sent; our model servers those that they know. */
export function headersFor(version: RoutedVersion, received: IncomingHttpHeaders): Record<string, string> {
  const headers: Record<string, string> = {};
  if (version.paths === undefined) {
    for (const name of forwarded) {
      const value = received[name];
      if (value !== undefined) headers[name] = String(value);
    }
    return headers;
  }
  for (const [name, value] of Object.entries(received)) {
    if (value !== undefined && !notPassedOn.has(name)) headers[name] = String(value);
  }
  return headers;
}
