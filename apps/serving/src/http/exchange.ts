import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from "node:http";
import { type EspalierError, toEspalierError } from "@espalier/core";
import { reply } from "./reply.ts";

/** An answer that says no. */
export interface ErrorAnswer {
  status: number;
  /** JSON, or plain text with a content type of its own. */
  body: string;
  contentType?: string;
}

/** How a protocol says no. */
export type ErrorForm = (error: EspalierError) => ErrorAnswer;

/** One request and its answer. */
export interface Exchange {
  request: IncomingMessage;
  response: ServerResponse;
  /** Without the query. */
  path: string;
  /** What the route's `{names}` stand for, decoded. */
  params: Readonly<Record<string, string>>;
  /** `performance.now()` when the head had come. */
  startedAt: number;
  /** The route's, until the body turns out to be of another protocol. */
  errorForm: ErrorForm;
  /** Headers of the answer, whatever it will be. */
  headers: OutgoingHttpHeaders;
}

/** Sends an answer with the exchange's headers. */
export function answer(
  exchange: Exchange,
  status: number,
  body: string | Buffer,
  contentType = "application/json",
): void {
  reply(exchange.response, status, body, contentType, exchange.headers);
}

/** Seconds after which trying again makes sense. Queues empty in less; loading takes about that long. */
const retryAfterSeconds = "1";

export function answerError(exchange: Exchange, thrown: unknown): EspalierError {
  const error = toEspalierError(thrown);
  const { status, body, contentType } = exchange.errorForm(error);
  if (error.retryable) exchange.headers["retry-after"] = retryAfterSeconds;
  answer(exchange, status, body, contentType);
  return error;
}
