import type { IncomingMessage } from "node:http";
import { servingHeaders } from "@espalier/core";
import { badRequest } from "./request-error.ts";

/** Absent when the caller gives none. Errors: INVALID_INPUT for what could not be a column value or a log field. */
export function givenPredictionId(request: IncomingMessage): string | undefined {
  const id = request.headers[servingHeaders.predictionId];
  return id === undefined ? undefined : checkedId(String(id));
}

export function checkedId(id: string): string {
  if (!/^[\w.:/-]{1,128}$/.test(id)) {
    throw badRequest(
      `A prediction id is 1 to 128 letters, digits, '_', '.', ':', '/' and '-', got ${JSON.stringify(id.slice(0, 60))}`,
    );
  }
  return id;
}

/** Milliseconds since the epoch. A time without a zone would mean another instant on another machine, so it is refused. */
export function givenEventTime(request: IncomingMessage): number | undefined {
  const text = request.headers[servingHeaders.eventTime];
  if (text === undefined) return undefined;
  const time = Date.parse(String(text));
  if (Number.isNaN(time) || !/^\d{4}-\d\d-\d\dT.*(Z|[+-]\d\d:\d\d)$/.test(String(text))) {
    throw badRequest(
      `${servingHeaders.eventTime} must be an ISO 8601 time with a zone, such as 2001-04-01T12:00:00Z; got ${text}`,
    );
  }
  return time;
}
