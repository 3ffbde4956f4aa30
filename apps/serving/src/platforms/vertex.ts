import { plainError } from "../http/error-forms.ts";
import { readiness } from "../http/readiness.ts";
import type { Route } from "../http/routes.ts";
import { answerInvocation } from "../protocol/invocations.ts";
import type { Serving } from "../serving.ts";

/** Where Vertex AI asks; it says so in AIP_HEALTH_ROUTE and AIP_PREDICT_ROUTE (cloud.google.com, "Custom container requirements"). */
export interface VertexOptions {
  healthRoute: string;
  predictRoute: string;
}

/**
 * `{"instances", "parameters"}` gives `{"predictions"}`; what `rawPredict` passes through may be a body of any other protocol. These come
 * first in the table of routes, so that a predict route never reaches anything else, whatever it is called.
 */
export function vertexRoutes(serving: Serving, { healthRoute, predictRoute }: VertexOptions): Route[] {
  return [
    { method: "GET", path: healthRoute, errorForm: plainError, handle: (exchange) => readiness(serving, exchange) },
    {
      method: "POST",
      path: predictRoute,
      errorForm: plainError,
      handle: (exchange) => answerInvocation(serving, exchange, { paramsKey: "parameters" }),
    },
  ];
}
