import { stat } from "node:fs/promises";
import { EspalierError } from "@espalier/core";
import { parseJson, readBody } from "../http/body.ts";
import { mlflowError } from "../http/error-forms.ts";
import { answer, type Exchange } from "../http/exchange.ts";
import { badRequest } from "../http/request-error.ts";
import type { Route } from "../http/routes.ts";
import { answerInvocation } from "../protocol/invocations.ts";
import { folderBytes, resolveModelFolder } from "../repository/model-folders.ts";
import type { Serving } from "../serving.ts";

/** SageMaker's container contract (docs.aws.amazon.com, "Custom Inference Code with Hosting Services" and "Multi-Model Endpoints"). */

const bodyLimitBytes = 64 * 1024;
const version = "1";

export interface MultiModelOptions {
  /** Models that may be loaded at one time; SageMaker unloads one when it is told 507. */
  maxModels: number;
  /** Bytes of memory that a further model may take. */
  availableBytes(): number;
}

/** `/execution-parameters` of batch transform: it asks how the server wants its input cut. */
export function sagemakerRoutes(serving: Serving): Route[] {
  return [
    {
      method: "GET",
      path: "/execution-parameters",
      errorForm: mlflowError,
      handle: (exchange) =>
        answer(
          exchange,
          200,
          JSON.stringify({
            MaxConcurrentTransforms: 4,
            BatchStrategy: "MULTI_RECORD",
            MaxPayloadInMB: Math.max(1, Math.min(100, Math.floor(serving.bodyLimitBytes / 2 ** 20))),
          }),
        ),
    },
  ];
}

/** Multi-model endpoints: SageMaker puts folders on the disk, and says which to load, ask and unload. */
export function multiModelRoutes(serving: Serving, options: MultiModelOptions): Route[] {
  const { repository } = serving;
  const folders = new Map<string, string>();
  const route = (method: Route["method"], path: string, handle: Route["handle"]): Route => ({
    method,
    path,
    errorForm: mlflowError,
    handle,
  });
  const described = (name: string) => ({ modelName: name, modelUrl: folders.get(name) });

  async function load(exchange: Exchange): Promise<void> {
    const { name, url } = await givenModel(exchange);
    refuseLoaded(name);
    const folder = await modelFolder(url);
    const needed = await folderBytes(folder);
    // Asked again behind what was waited for, since two may ask at the same time.
    refuseLoaded(name);
    if (folders.size >= options.maxModels || needed > options.availableBytes()) {
      answer(
        exchange,
        507,
        JSON.stringify({
          error_code: "RESOURCE_EXHAUSTED",
          message: `There is no room for a model of ${needed} bytes beside the ${folders.size} that are loaded`,
        }),
      );
      return;
    }
    folders.set(name, url);
    try {
      await repository.load({ name, version, folder });
    } catch (error) {
      folders.delete(name);
      await repository.remove(name);
      throw error;
    }
    answer(exchange, 200, JSON.stringify(described(name)));
  }

  function refuseLoaded(name: string): void {
    if (folders.has(name)) throw new EspalierError("ALREADY_EXISTS", `Model "${name.slice(0, 100)}" is loaded already`);
  }

  function known({ params }: Exchange): string {
    const { model = "" } = params;
    if (folders.has(model)) return model;
    throw new EspalierError("NOT_FOUND", `There is no model "${model.slice(0, 100)}" here`);
  }

  return [
    route("POST", "/models", load),
    route("GET", "/models", (exchange) =>
      answer(exchange, 200, JSON.stringify(modelPage(exchange, folders, described))),
    ),
    route("GET", "/models/{model}", (exchange) => answer(exchange, 200, JSON.stringify(described(known(exchange))))),
    route("DELETE", "/models/{model}", async (exchange) => {
      const name = known(exchange);
      folders.delete(name);
      await repository.remove(name);
      answer(exchange, 200, "{}");
    }),
    route("POST", "/models/{model}/invoke", (exchange) =>
      answerInvocation(serving, exchange, { model: known(exchange) }),
    ),
  ];
}

const pageSize = 100;

function modelPage(
  { request }: Exchange,
  folders: ReadonlyMap<string, string>,
  described: (name: string) => object,
): object {
  const query = new URL(request.url ?? "/", "http://localhost").searchParams;
  const token = query.get("next_page_token") ?? "0";
  const from = Number(token);
  if (!Number.isSafeInteger(from) || from < 0) throw badRequest("next_page_token is none that was given");
  const names = [...folders.keys()].slice(from, from + pageSize);
  const next = from + names.length < folders.size ? { nextPageToken: String(from + names.length) } : {};
  return { models: names.map(described), ...next };
}

async function givenModel({ request }: Exchange): Promise<{ name: string; url: string }> {
  const body = parseJson(await readBody(request, bodyLimitBytes)) as { model_name?: unknown; url?: unknown } | null;
  const { model_name: name, url } = body ?? {};
  if (typeof name !== "string" || name === "" || name.length > 512) throw badRequest('"model_name" must be a name');
  if (typeof url !== "string" || !url.startsWith("/") || url.includes("\0")) {
    throw badRequest('"url" must be the path of a folder on this machine');
  }
  return { name, url };
}

async function modelFolder(url: string): Promise<string> {
  const isFolder = await stat(url).then(
    (entry) => entry.isDirectory(),
    () => false,
  );
  if (!isFolder) throw new EspalierError("NOT_FOUND", `There is no folder ${url}`, { at: url });
  return resolveModelFolder(url);
}
