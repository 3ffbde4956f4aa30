import { readBody } from "../http/body.ts";
import { answer, answerError, type Exchange } from "../http/exchange.ts";
import { isReadByMlflow } from "../model/through.ts";
import { observeAnswer } from "../observe-answer.ts";
import type { ServedModel } from "../repository/served-model.ts";
import type { Serving } from "../serving.ts";

/** The model that a request is for when its body is read by MLflow's own parser and not here; undefined for all others. */
export function throughModel(serving: Serving, name: string | undefined): ServedModel | undefined {
  const served = serving.repository.peek(name);
  return served !== undefined && isReadByMlflow(served.model) ? served : undefined;
}

/** Hands the body on as it came, and the answer back as it is. Rows are not known, so they are neither counted nor captured. */
export async function invokeThrough(serving: Serving, exchange: Exchange, served: ServedModel): Promise<void> {
  const { request, response, startedAt } = exchange;
  let fault: unknown;
  served.hold();
  try {
    const body = await readBody(request, serving.bodyLimitBytes);
    const answered = await served.model.invoke?.(body, request.headers["content-type"] ?? "application/json");
    if (answered !== undefined) answer(exchange, answered.status, answered.body, answered.contentType);
  } catch (error) {
    fault = error;
    served.statistics.failed(startedAt, error);
    answerError(exchange, error);
  } finally {
    served.letGo();
  }
  observeAnswer(serving, { protocol: "mlflow", status: response.statusCode, startedAt, rows: 0, served, error: fault });
}
