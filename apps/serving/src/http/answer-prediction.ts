import { servingHeaders, ulid } from "@espalier/core";
import { type ParsedRequest, type Prediction, predict } from "../predict.ts";
import type { ServedModel } from "../repository/served-model.ts";
import type { Serving } from "../serving.ts";
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
  const { request, response, headers, startedAt } = exchange;
  const requestId = givenRequestId(request);
  if (requestId !== undefined) headers["x-request-id"] = requestId;
  if (serving.isDraining()) headers.connection = "close";
  let rows = 0;
  try {
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
        parse: (_signature, served) => route.parse(exchange, body, served),
      },
      (prediction) => {
        rows = prediction.parsed.table.rows;
        headers[servingHeaders.version] = prediction.served.version;
        headers[servingHeaders.predictionId] = prediction.predictionId;
        headers["x-request-id"] ??= prediction.predictionId;
        return prediction.parsed.render(prediction);
      },
      ({ body: answered, contentType = "application/json" }) => ({ contentType, body: answered }),
    );
    if (rendered.headers !== undefined) Object.assign(headers, rendered.headers);
    answer(exchange, 200, rendered.body, rendered.contentType);
  } catch (error) {
    headers["x-request-id"] ??= ulid();
    answerError(exchange, error);
  }
  serving.metrics.observeRequest(route.protocol, response.statusCode, (performance.now() - startedAt) / 1000, rows);
}
