import { EspalierError } from "@espalier/core";
import { answerPrediction, type HttpParsed } from "../../http/answer-prediction.ts";
import { plainError } from "../../http/error-forms.ts";
import { answer, type Exchange } from "../../http/exchange.ts";
import { readiness } from "../../http/readiness.ts";
import type { Route } from "../../http/routes.ts";
import { canAnswer, type ServedModel } from "../../repository/served-model.ts";
import type { Serving } from "../../serving.ts";
import {
  modelConfiguration,
  modelMetadata,
  modelStatistics,
  serverExtensions,
  serverName,
  serverVersion,
} from "./metadata.ts";
import { v2Parsed } from "./parsed.ts";
import { readV2 } from "./request.ts";

const models = "/v2/models/{model}";
const versions = `${models}/versions/{version}`;

/** Open Inference Protocol V2 over HTTP, with Triton's statistics and model configuration. */
export function v2Routes(serving: Serving): Route[] {
  const { repository } = serving;
  const get = (path: string, handle: Route["handle"]): Route => ({
    method: "GET",
    path,
    errorForm: plainError,
    handle,
  });
  const infer = (path: string): Route => ({
    method: "POST",
    path,
    errorForm: plainError,
    handle: (exchange) =>
      answerPrediction(serving, exchange, {
        protocol: "v2",
        model: exchange.params.model,
        version: exchange.params.version,
        parse: parseV2Body,
      }),
  });
  const json = (exchange: Exchange, value: unknown) => answer(exchange, 200, JSON.stringify(value));

  const ready = (exchange: Exchange) => {
    const { model = "", version } = exchange.params;
    const served = repository.find(model, version);
    if (!canAnswer(served)) throw new EspalierError("UNAVAILABLE", `What runs model "${model}" is away`);
    if (serving.isDraining()) throw new EspalierError("UNAVAILABLE", "The server is stopping");
    json(exchange, { name: model, ready: true });
  };
  const metadata = (exchange: Exchange) => {
    const { model = "", version } = exchange.params;
    const served = repository.find(model, version);
    const all = repository.status(model).filter(({ state }) => state === "READY");
    json(
      exchange,
      modelMetadata(served.name, version === undefined ? all.map((one) => one.version) : [version], served.model),
    );
  };
  const config = (exchange: Exchange) => {
    const served = repository.find(exchange.params.model, exchange.params.version);
    json(exchange, modelConfiguration(served.name, served.model, serving.maxBatchRows));
  };
  const statistics = (exchange: Exchange) => {
    const { model, version } = exchange.params;
    const statuses = model === undefined ? repository.index() : repository.status(model, version);
    json(exchange, { model_stats: statuses.map(modelStatistics) });
  };

  return [
    infer(`${models}/infer`),
    infer(`${versions}/infer`),
    get("/v2", (exchange) =>
      json(exchange, { name: serverName, version: serverVersion, extensions: serverExtensions }),
    ),
    get("/v2/health/live", (exchange) => json(exchange, { live: true })),
    get("/v2/health/ready", (exchange) => readiness(serving, exchange)),
    get("/v2/models/stats", statistics),
    get(`${models}/stats`, statistics),
    get(`${versions}/stats`, statistics),
    get(`${models}/config`, config),
    get(`${versions}/config`, config),
    get(`${models}/ready`, ready),
    get(`${versions}/ready`, ready),
    get(models, metadata),
    get(versions, metadata),
  ];
}

function parseV2Body(exchange: Exchange, body: Buffer, served: ServedModel): HttpParsed {
  const header = exchange.request.headers["inference-header-content-length"];
  return v2Parsed(readV2(body, header === undefined ? undefined : String(header), served.model.signature), served);
}
