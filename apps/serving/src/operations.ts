import { plainError } from "./http/error-forms.ts";
import { answer } from "./http/exchange.ts";
import type { Route } from "./http/routes.ts";
import type { Serving } from "./serving.ts";

/** Routes for operations people and the control plane; a router does not pass them on. */
export function operationRoutes(serving: Serving): Route[] {
  const { repository, metrics } = serving;
  return [
    {
      method: "GET",
      path: "/metrics",
      errorForm: plainError,
      async handle(exchange) {
        answer(exchange, 200, await metrics.text(), metrics.contentType);
      },
    },
    {
      method: "POST",
      path: "/capture/flush",
      errorForm: plainError,
      async handle(exchange) {
        const counts = { captured: 0, dropped: 0 };
        for (const { name, version, state } of repository.index()) {
          if (state !== "READY") continue;
          const { capture } = repository.find(name, version);
          await capture?.flush();
          counts.captured += capture?.counts().captured ?? 0;
          counts.dropped += capture?.counts().dropped ?? 0;
        }
        answer(exchange, 200, JSON.stringify(counts));
      },
    },
  ];
}
