import { answerPrediction, type HttpParsed } from "../http/answer-prediction.ts";
import { parseJson } from "../http/body.ts";
import { plainError } from "../http/error-forms.ts";
import { answer, type Exchange } from "../http/exchange.ts";
import { badRequest } from "../http/request-error.ts";
import type { Route } from "../http/routes.ts";
import { show } from "../model/cells.ts";
import { canAnswer, type ServedModel } from "../repository/served-model.ts";
import type { Serving } from "../serving.ts";
import { checkedParams, instancesTable, renderPredictions } from "./mlflow.ts";

/** V1 (TensorFlow Serving, KServe): `{"instances"}` gives `{"predictions"}`. */
export function v1Routes(serving: Serving): Route[] {
  const { repository } = serving;
  const ask = (verb: "predict" | "explain"): Route => ({
    method: "POST",
    path: `/v1/models/{model}:${verb}`,
    errorForm: plainError,
    handle: (exchange) => answerV1(serving, exchange, { model: exchange.params.model, explain: verb === "explain" }),
  });
  return [
    ask("predict"),
    ask("explain"),
    {
      method: "GET",
      path: "/v1/models",
      errorForm: plainError,
      handle(exchange) {
        const names = new Set(
          repository
            .index()
            .filter(({ state }) => state === "READY")
            .map(({ name }) => name),
        );
        answer(exchange, 200, JSON.stringify({ models: [...names] }));
      },
    },
    {
      method: "GET",
      path: "/v1/models/{model}",
      errorForm: plainError,
      handle(exchange) {
        const { model = "" } = exchange.params;
        const ready = canAnswer(repository.find(model)) && !serving.isDraining();
        answer(exchange, ready ? 200 : 503, JSON.stringify({ name: model, ready }));
      },
    },
  ];
}

function answerV1(
  serving: Serving,
  exchange: Exchange,
  target: { model: string | undefined; explain: boolean },
): Promise<void> {
  const key = target.explain ? "explanations" : "predictions";
  return answerPrediction(serving, exchange, {
    protocol: "v1",
    ...target,
    parse: (_exchange, body, served) => parseInstances(parseJson(body), served, key),
  });
}

function parseInstances(body: unknown, { model }: ServedModel, key: string): HttpParsed {
  if (typeof body !== "object" || body === null || Array.isArray(body)) {
    throw badRequest(`The body must be a JSON object with "instances", got ${show(body)}`);
  }
  const { instances, parameters } = body as Record<string, unknown>;
  if (!Array.isArray(instances)) throw badRequest('"instances" must be a list of rows', "instances");
  const params = checkedParams(parameters, "parameters", model);
  const table = instancesTable(instances, model.signature);
  return { table, params, render: ({ outputs }) => ({ body: renderPredictions(outputs, table.rows, key) }) };
}
