import { mlflowError } from "../http/error-forms.ts";
import { answer, type Exchange } from "../http/exchange.ts";
import { readiness } from "../http/readiness.ts";
import type { Route } from "../http/routes.ts";
import { answerInvocation } from "../protocol/invocations.ts";
import type { Serving } from "../serving.ts";
import { parseInputData } from "./azure-body.ts";

/** Azure ML's scoring route and headers, as its inference server has them (microsoft/azureml-inference-server). */

const echoed = ["x-request-id", "x-ms-client-request-id"] as const;
const maxIdLength = 100;

export function azureRoutes(serving: Serving): Route[] {
  return [
    { method: "GET", path: "/", errorForm: mlflowError, handle: (exchange) => readiness(serving, exchange) },
    {
      method: "POST",
      path: "/score",
      errorForm: mlflowError,
      handle(exchange) {
        if (refuseLongIds(exchange)) return;
        return answerInvocation(serving, exchange, { parseOwn: parseInputData });
      },
    },
  ];
}

/** True when an id was too long and the request is answered. */
function refuseLongIds(exchange: Exchange): boolean {
  const { request, headers } = exchange;
  for (const name of echoed) {
    const id = request.headers[name];
    if (typeof id !== "string") continue;
    if (id.length > maxIdLength) {
      request.resume();
      const message = `The header ${name} has ${id.length} characters, and may have ${maxIdLength}`;
      answer(exchange, 431, JSON.stringify({ error_code: "BAD_REQUEST", message, code: "INVALID_INPUT" }));
      return true;
    }
    // What no header may hold would be refused by the runtime when it is sent.
    if (/^[\x20-\x7e]*$/.test(id)) headers[name] = id;
  }
  return false;
}
