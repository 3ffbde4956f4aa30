import type { IncomingMessage } from "node:http";
import type { Socket } from "node:net";
import { servingHeaders } from "@espalier/core";
import { badRequest } from "./request-error.ts";

/** Whatever has headers: a request over HTTP, a call over gRPC. */
interface WithHeaders {
  headers: Readonly<Record<string, string | readonly string[] | undefined>>;
}

/** Absent when the caller gives none. Errors: INVALID_INPUT for what could not be a column value or a log field. */
export function givenPredictionId(request: WithHeaders): string | undefined {
  const id = request.headers[servingHeaders.predictionId];
  return id === undefined ? undefined : checkedId(String(id));
}

function checkedId(id: string): string {
  if (!/^[\w.:/-]{1,128}$/.test(id)) {
    throw badRequest(
      `A prediction id is 1 to 128 letters, digits, '_', '.', ':', '/' and '-', got ${JSON.stringify(id.slice(0, 60))}`,
    );
  }
  return id;
}

/** The caller's `x-request-id`, where it is short and printable; what is not is replaced and never echoed into logs. */
export function givenRequestId(request: WithHeaders): string | undefined {
  const id = request.headers["x-request-id"];
  return typeof id === "string" && /^[\x21-\x7e]{1,256}$/.test(id) ? id : undefined;
}

/** Milliseconds since the epoch. A time without a zone would mean another instant on another machine, so it is refused. */
export function givenEventTime(request: WithHeaders): number | undefined {
  const text = request.headers[servingHeaders.eventTime];
  if (text === undefined) return undefined;
  const time = Date.parse(String(text));
  if (Number.isNaN(time) || !/^\d{4}-\d\d-\d\dT.*(Z|[+-]\d\d:\d\d)$/.test(String(text))) {
    throw badRequest(
      `${servingHeaders.eventTime} must be an ISO 8601 time with a zone, such as 2001-04-01T12:00:00Z; got ${String(text).slice(0, 60)}`,
    );
  }
  return time;
}

/** A caller's own header, and that of the router, which passes on what is left of it. */
const timeoutHeaders = ["x-request-timeout-ms", "x-espalier-timeout-ms"] as const;
const dayMilliseconds = 86_400_000;

/** When the caller stops waiting, in milliseconds since the epoch. Errors: INVALID_INPUT. */
export function givenDeadline(request: WithHeaders): number | undefined {
  let deadline: number | undefined;
  for (const name of timeoutHeaders) {
    const text = request.headers[name];
    if (text === undefined) continue;
    const milliseconds = Number(text);
    if (!(milliseconds > 0 && milliseconds <= dayMilliseconds)) {
      throw badRequest(`${name} must be a number of milliseconds from 1 to a day, got "${String(text).slice(0, 60)}"`);
    }
    deadline = Math.min(deadline ?? Number.POSITIVE_INFINITY, Date.now() + milliseconds);
  }
  return deadline;
}

const goneSignals = new WeakMap<Socket, AbortSignal>();

/**
 * Aborted when the caller's connection closes. One signal a connection, since requests on it come one after the other and a signal each
 * would cost more than reading a small body: who listens to it must take the listener away again.
 */
export function goneSignal(request: IncomingMessage): AbortSignal {
  const { socket } = request;
  const known = goneSignals.get(socket);
  if (known !== undefined) return known;
  const controller = new AbortController();
  socket.once("close", () => controller.abort());
  goneSignals.set(socket, controller.signal);
  return controller.signal;
}
