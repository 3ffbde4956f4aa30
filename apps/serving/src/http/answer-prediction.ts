import { servingHeaders, ulid } from "@espalier/core";
import { observeAnswer } from "../observe-answer.ts";
import { type ParsedRequest, type Prediction, predict } from "../predict.ts";
import type { ServedModel } from "../repository/served-model.ts";
import type { Serving } from "../serving.ts";
import type { RequestTrace } from "../tracing/tracing.ts";
import { readBody } from "./body.ts";
import { answer, answerError, type Exchange } from "./exchange.ts";
import { givenDeadline, givenEventTime, givenPredictionId, givenRequestId, goneSignal } from "./request-identity.ts";

export interface HttpAnswer {
  body: string | Buffer;
  contentType?: string;
  headers?: Readonly<Record<string, string>>;
}

/** What a protocol makes of a body: rows, and how their predictions are told. */
export interface HttpParsed extends ParsedRequest {
  render(prediction: Prediction<HttpParsed>): HttpAnswer;
}

export interface PredictionRoute {
  protocol: string;
  model?: string | undefined;
  version?: string | undefined;
  explain?: boolean;
  /** Errors: INVALID_INPUT. May change the exchange's error form, once it knows what the body is. */
  parse(exchange: Exchange, body: Buffer, served: ServedModel): HttpParsed;
}

/** Answers one prediction request over HTTP, well or with an error in the protocol's form. */
export async function answerPrediction(serving: Serving, exchange: Exchange, route: PredictionRoute): Promise<void> {
  const { request, headers, startedAt } = exchange;
  let rows = 0;
  await answerCounted(serving, exchange, route, async (account) => {
    const body = await readBody(request, serving.bodyLimitBytes);
    const captureDecision = request.headers[servingHeaders.capture];
    const rendered = await predict(
      serving,
      {
        model: route.model,
        version: route.version,
        startedAt,
        predictionId: givenPredictionId(request),
        eventTime: givenEventTime(request),
        capture: captureDecision === undefined ? undefined : captureDecision === "1",
        deadline: givenDeadline(request),
        signal: goneSignal(request),
        explain: route.explain === true,
        payload: { contentType: request.headers["content-type"] ?? "application/json", body },
        trace: account.trace,
        parse(_signature, served) {
          account.served = served;
          return route.parse(exchange, body, served);
        },
      },
      (prediction) => {
        rows = prediction.parsed.table.rows;
        account.predictionId = prediction.predictionId;
        countedHeaders(exchange, prediction.served, prediction.predictionId);
        return prediction.parsed.render(prediction);
      },
      ({ body: answered, contentType = "application/json" }) => ({ contentType, body: answered }),
    );
    if (rendered.headers !== undefined) Object.assign(headers, rendered.headers);
    answer(exchange, 200, rendered.body, rendered.contentType);
    return rows;
  });
}

/** What every answer of a model says of itself. */
export function countedHeaders({ headers }: Exchange, { version }: { version: string }, predictionId: string): void {
  headers[servingHeaders.version] = version;
  headers[servingHeaders.predictionId] = predictionId;
  headers["x-request-id"] ??= predictionId;
}

/** What becomes known about a request while it is answered, for metrics, spans and logs. */
export interface Account {
  trace: RequestTrace | undefined;
  served?: { name: string; version: string };
  predictionId?: string;
}

/** No status of HTTP's own, but what nginx and others log for a request whose caller did not wait. */
const callerGone = 499;

/** Answers with what `work` answers, or with its error; counts it. `work` resolves with the rows that were predicted. */
export async function answerCounted(
  serving: Serving,
  exchange: Exchange,
  counted: { protocol: string },
  work: (account: Account) => Promise<number>,
): Promise<void> {
  const { request, response, headers, startedAt } = exchange;
  const { traceparent, tracestate } = request.headers;
  const account: Account = { trace: serving.tracing?.begin("predict", { traceparent, tracestate }, startedAt) };
  const requestId = givenRequestId(request);
  if (requestId !== undefined) headers["x-request-id"] = requestId;
  if (serving.isDraining()) headers.connection = "close";
  let rows = 0;
  let fault: unknown;
  try {
    rows = await work(account);
  } catch (error) {
    fault = error;
    headers["x-request-id"] ??= ulid();
    answerError(exchange, error);
  }
  observeAnswer(serving, {
    ...account,
    protocol: counted.protocol,
    // Nothing was sent to a caller that had gone.
    status: response.headersSent ? response.statusCode : callerGone,
    startedAt,
    rows,
    requestId: headers["x-request-id"] === undefined ? undefined : String(headers["x-request-id"]),
    traceparent,
    error: fault,
  });
}
