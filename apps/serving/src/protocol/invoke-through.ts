import { ulid } from "@espalier/core";
import { answerCounted, countedHeaders } from "../http/answer-prediction.ts";
import { readBody } from "../http/body.ts";
import { answer, type Exchange } from "../http/exchange.ts";
import { badRequest } from "../http/request-error.ts";
import { givenDeadline, givenPredictionId, goneSignal } from "../http/request-identity.ts";
import type { RunTiming } from "../model/model.ts";
import { isReadByMlflow } from "../model/through.ts";
import type { ServedModel } from "../repository/served-model.ts";
import type { Serving } from "../serving.ts";

/** The model that a request is for when its body is read by MLflow's own parser and not here; undefined for all others. */
export function throughModel(serving: Serving, name: string | undefined): ServedModel | undefined {
  const served = serving.repository.peek(name);
  return served !== undefined && isReadByMlflow(served.model) ? served : undefined;
}

/** Hands the body on as it came, and the answer back as it is. Rows are not known, so they are neither counted nor captured. */
export async function invokeThrough(serving: Serving, exchange: Exchange, served: ServedModel): Promise<void> {
  const { request, startedAt } = exchange;
  const { statistics, model } = served;
  served.hold();
  try {
    await answerCounted(serving, exchange, { protocol: "mlflow" }, async (account) => {
      account.served = served;
      try {
        const predictionId = givenPredictionId(request) ?? ulid();
        const deadline = givenDeadline(request);
        const body = await readBody(request, serving.bodyLimitBytes);
        const parsedAt = performance.now();
        const timing: Partial<RunTiming> = {};
        const answered = await model.invoke?.(body, request.headers["content-type"] ?? "application/json", {
          timing,
          signal: goneSignal(request),
          ...(deadline === undefined ? {} : { deadline }),
        });
        if (answered === undefined) return 0;
        account.predictionId = predictionId;
        countedHeaders(exchange, served, predictionId);
        if (answered.status >= 400) statistics.failed(startedAt, badRequest("MLflow's parser refused the request"));
        else statistics.succeeded({ rows: 0, startedAt, parsedAt, timing, finishedAt: performance.now() });
        answer(exchange, answered.status, answered.body, answered.contentType);
        return 0;
      } catch (error) {
        statistics.failed(startedAt, error);
        throw error;
      }
    });
  } finally {
    served.letGo();
  }
}
