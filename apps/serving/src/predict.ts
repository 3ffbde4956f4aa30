import { EspalierError, type ModelSignature, toEspalierError, ulid } from "@espalier/core";
import type { Payload } from "./capture/captured-exchange.ts";
import { log } from "./log.ts";
import type { ModelCall, ModelOutput, RunTiming } from "./model/model.ts";
import type { Table } from "./model/table.ts";
import { requireTable } from "./model/through.ts";
import type { ModelRepository } from "./repository/repository.ts";
import type { ServedModel } from "./repository/served-model.ts";
import type { RequestTrace } from "./tracing/tracing.ts";

/** The one way from a request to its answer, whatever protocol and transport it came by. */

/** What a protocol reads from a request's body once the model is known. */
export interface ParsedRequest {
  table: Table;
  /** The caller's id of the request, when the protocol has one. It is the prediction's id too where it can be one. */
  id?: string | undefined;
  /** Milliseconds since the epoch. */
  deadline?: number | undefined;
  params?: Readonly<Record<string, unknown>> | undefined;
}

export interface PredictRequest<Parsed extends ParsedRequest> {
  /** Absent: the server's only model. */
  model?: string | undefined;
  /** Absent: its newest version that is ready. */
  version?: string | undefined;
  /** Errors: INVALID_INPUT naming what is wrong. */
  parse(signature: ModelSignature, served: ServedModel): Parsed;
  /** `performance.now()` when the request's head had come. */
  startedAt: number;
  /** Already checked; minted when absent. */
  predictionId?: string | undefined;
  /** Milliseconds since the epoch: the time that the prediction is about. */
  eventTime?: number | undefined;
  /** Whether a router has decided to capture this request; absent, the server's own rate decides. */
  capture?: boolean | undefined;
  /** Milliseconds since the epoch; the earlier one counts when the body names one too. */
  deadline?: number | undefined;
  /** Aborted when the caller is gone. */
  signal?: AbortSignal | undefined;
  /** Contributions of the columns in place of predictions. */
  explain?: boolean;
  /** The request's bytes, for whoever captures. */
  payload?: Payload | undefined;
  /** The request's span. */
  trace?: RequestTrace | undefined;
}

export interface Prediction<Parsed extends ParsedRequest> {
  served: ServedModel;
  parsed: Parsed;
  predictionId: string;
  outputs: ModelOutput[];
}

export interface PredictContext {
  repository: ModelRepository;
  /** Share of requests that are captured when no router has decided, 0 to 1. */
  captureRate: number;
}

/**
 * Finds the model, reads the rows, runs the model, counts, and captures. `render` makes the answer while the model is held, so that a
 * version that leaves waits for it; it is timed as the model's output. Errors: NOT_FOUND, UNAVAILABLE (loading), INVALID_INPUT,
 * RATE_LIMITED, TIMEOUT, CANCELLED, UNSUPPORTED (an explanation of a model that can not explain), and those of the model.
 */
export async function predict<Parsed extends ParsedRequest, Answer>(
  context: PredictContext,
  request: PredictRequest<Parsed>,
  render: (prediction: Prediction<Parsed>) => Answer,
  payloadOf?: (answer: Answer) => Payload,
): Promise<Answer> {
  const served = context.repository.find(request.model, request.version);
  served.hold();
  try {
    requireTable(served.model);
    const { signature } = served.model;
    const parsed = request.parse(signature, served);
    const parsedAt = performance.now();
    const { timing, outputs } = await run(served, request, parsed, parsedAt);
    const predictionId = request.predictionId ?? predictionIdOf(parsed.id) ?? ulid();
    const prediction = { served, parsed, predictionId, outputs };
    const answer = render(prediction);
    const finishedAt = performance.now();
    const { startedAt, trace } = request;
    served.statistics.succeeded({ rows: parsed.table.rows, startedAt, parsedAt, timing, finishedAt });
    if (trace !== undefined) tracePhases(trace, startedAt, parsedAt, timing, finishedAt);
    if (request.explain !== true && isSampled(context, request, served)) {
      capture(request, prediction, payloadOf === undefined ? undefined : () => payloadOf(answer));
    }
    return answer;
  } catch (error) {
    served.statistics.failed(request.startedAt, error);
    throw error;
  } finally {
    served.letGo();
  }
}

async function run(
  served: ServedModel,
  request: PredictRequest<ParsedRequest>,
  parsed: ParsedRequest,
  parsedAt: number,
): Promise<{ timing: RunTiming; outputs: ModelOutput[] }> {
  const { model, name } = served;
  const timing: RunTiming = { queuedAt: 0, startedAt: 0, endedAt: 0 };
  const call: ModelCall = { timing };
  const deadline = earlier(request.deadline, parsed.deadline);
  if (deadline !== undefined) {
    if (deadline <= Date.now()) {
      throw new EspalierError("TIMEOUT", "The request's deadline had passed before it was read");
    }
    call.deadline = deadline;
  }
  if (request.signal !== undefined) call.signal = request.signal;
  if (parsed.params !== undefined) call.params = parsed.params;
  let outputs: ModelOutput[];
  if (request.explain === true) {
    if (model.explain === undefined) {
      throw new EspalierError("UNSUPPORTED", `Model "${name}" can not explain its predictions`, {
        hint: "Explanations need an MLflow model that is served by its Python worker.",
      });
    }
    outputs = await model.explain(parsed.table, call);
  } else outputs = await model.predict(parsed.table, call);
  // A runtime that does not say when it ran: it ran all the time.
  if (timing.endedAt === 0) {
    Object.assign(timing, { queuedAt: parsedAt, startedAt: parsedAt, endedAt: performance.now() });
  }
  return { timing, outputs };
}

function earlier(one: number | undefined, other: number | undefined): number | undefined {
  if (one === undefined || other === undefined) return one ?? other;
  return Math.min(one, other);
}

function tracePhases(
  trace: RequestTrace,
  startedAt: number,
  parsedAt: number,
  timing: RunTiming,
  finishedAt: number,
): void {
  trace.child("decode", startedAt, parsedAt);
  trace.child("queue", timing.queuedAt, timing.startedAt);
  trace.child("infer", timing.startedAt, timing.endedAt);
  trace.child("encode", timing.endedAt, finishedAt);
}

const predictionIdPattern = /^[\w.:/-]{1,128}$/;

/** A request's id may be any text; as a prediction's id it goes into columns, headers and logs. */
function predictionIdOf(id: string | undefined): string | undefined {
  return id !== undefined && predictionIdPattern.test(id) ? id : undefined;
}

function isSampled(context: PredictContext, request: PredictRequest<ParsedRequest>, served: ServedModel): boolean {
  return served.capture !== undefined && (request.capture ?? Math.random() < context.captureRate);
}

/** After the answer has left: who waits for a prediction does not wait for this. */
function capture(
  { eventTime, payload }: PredictRequest<ParsedRequest>,
  { served, parsed, predictionId, outputs }: Prediction<ParsedRequest>,
  response: (() => Payload) | undefined,
): void {
  const servedAt = Date.now();
  served.hold();
  setImmediate(() => {
    try {
      served.capture?.add({
        id: predictionId,
        eventTime: eventTime ?? servedAt,
        servedAt,
        table: parsed.table,
        outputs,
        ...(payload === undefined ? {} : { request: payload }),
        ...(response === undefined ? {} : { response: response() }),
      });
    } catch (error) {
      // Nobody is left to be told, and a request that can not be written down must not end the server.
      const { message, stack } = toEspalierError(error);
      log("error", `capture: a request was not captured: ${message}`, { predictionId, stack });
    } finally {
      served.letGo();
    }
  });
}
