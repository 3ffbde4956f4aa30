import { EspalierError } from "@espalier/core";
import { parseJson, readBody } from "../../http/body.ts";
import { plainError } from "../../http/error-forms.ts";
import { answer, type Exchange } from "../../http/exchange.ts";
import { badRequest } from "../../http/request-error.ts";
import type { Route } from "../../http/routes.ts";
import type { Serving } from "../../serving.ts";
import { refuseModelControl, repositoryIndex } from "./metadata.ts";

/** A repository request holds a flag or two. */
const bodyLimitBytes = 64 * 1024;

/** Triton's model repository extension: index, load, unload. */
export function repositoryRoutes(serving: Serving): Route[] {
  const post = (path: string, handle: Route["handle"]): Route => ({
    method: "POST",
    path,
    errorForm: plainError,
    handle,
  });
  return [
    post("/v2/repository/index", async (exchange) => {
      const { ready } = await givenObject(exchange);
      if (ready !== undefined && typeof ready !== "boolean") throw badRequest('"ready" must be true or false');
      answer(exchange, 200, JSON.stringify(repositoryIndex(serving.repository.index(), ready === true)));
    }),
    post("/v2/repository/models/{model}/load", async (exchange) => {
      refuseWebPages(exchange);
      refuseParameters(await givenObject(exchange), []);
      const control = serving.control ?? refuseModelControl();
      await control.load(exchange.params.model ?? "");
      answer(exchange, 200, "{}");
    }),
    post("/v2/repository/models/{model}/unload", async (exchange) => {
      refuseWebPages(exchange);
      // No model here is made of others, so there is nothing that depends on one.
      refuseParameters(await givenObject(exchange), ["unload_dependents"]);
      const control = serving.control ?? refuseModelControl();
      await control.unload(exchange.params.model ?? "");
      answer(exchange, 200, "{}");
    }),
  ];
}

/** A web page may post to loopback without being asked; no client of this protocol is one. */
function refuseWebPages({ request }: Exchange): void {
  if (request.headers.origin === undefined) return;
  throw new EspalierError("PERMISSION_DENIED", "Models are not loaded and unloaded by web pages");
}

async function givenObject({ request }: Exchange): Promise<Record<string, unknown>> {
  const body = await readBody(request, bodyLimitBytes);
  const value = body.length === 0 ? {} : parseJson(body);
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  throw badRequest("The body is not a JSON object");
}

function refuseParameters({ parameters }: Record<string, unknown>, known: readonly string[]): void {
  const unknown = Object.keys(parameters ?? {}).find((name) => !known.includes(name));
  if (unknown !== undefined) {
    throw badRequest(
      `The parameter "${unknown.slice(0, 80)}" is not supported: a model is loaded from its folder, as it is there`,
    );
  }
}
