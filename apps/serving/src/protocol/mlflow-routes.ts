import { mlflowError } from "../http/error-forms.ts";
import { answer } from "../http/exchange.ts";
import { readiness } from "../http/readiness.ts";
import type { Route } from "../http/routes.ts";
import type { Serving } from "../serving.ts";
import { answerInvocation } from "./invocations.ts";
import { serverVersion } from "./v2/metadata.ts";

/** What `mlflow models serve` answers at. */
export function mlflowRoutes(serving: Serving): Route[] {
  const health = (path: string): Route => ({
    method: "GET",
    path,
    errorForm: mlflowError,
    handle: (exchange) => readiness(serving, exchange),
  });
  const invocations = (path: string): Route => ({
    method: "POST",
    path,
    errorForm: mlflowError,
    handle: (exchange) => answerInvocation(serving, exchange),
  });
  return [
    invocations("/invocations"),
    invocations("/predict"),
    health("/ping"),
    health("/health"),
    {
      method: "GET",
      path: "/version",
      errorForm: mlflowError,
      handle(exchange) {
        const served = serving.repository.peek();
        const said = served === undefined ? { server: serverVersion } : { model: served.name, version: served.version };
        answer(exchange, 200, JSON.stringify(said));
      },
    },
  ];
}
