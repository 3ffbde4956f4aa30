import { isUtf8 } from "node:buffer";
import { answerPrediction, type HttpParsed, type PredictionRoute } from "../http/answer-prediction.ts";
import { parseJson } from "../http/body.ts";
import { type ContentType, parseContentType } from "../http/content-type.ts";
import { plainError } from "../http/error-forms.ts";
import { answer, type Exchange } from "../http/exchange.ts";
import { badRequest } from "../http/request-error.ts";
import type { Table } from "../model/table.ts";
import { observeAnswer } from "../observe-answer.ts";
import type { ServedModel } from "../repository/served-model.ts";
import type { Serving } from "../serving.ts";
import { tableFromCsv } from "./csv.ts";
import { invokeThrough, throughModel } from "./invoke-through.ts";
import { formats, parseInvocation, renderPredictions } from "./mlflow.ts";
import { v2Parsed } from "./v2/parsed.ts";
import { looksLikeV2, parseV2, readV2 } from "./v2/request.ts";

/** The inference header's length as Triton's containers take it on SageMaker and Vertex AI, whose callers can send no header of their own. */
const binaryTypes = [
  "application/vnd.sagemaker-triton.binary+json",
  "application/vnd.vertex-ai-triton.binary+json",
  "application/octet-stream",
];

export interface InvocationOptions {
  model?: string | undefined;
  /** Vertex AI's word for a request's parameters is `parameters`. */
  paramsKey?: "params" | "parameters";
  /** A form of bodies that only this path has; undefined for a body that is not of it. */
  parseOwn?(json: unknown, served: ServedModel): HttpParsed | undefined;
}

/**
 * One path for several protocols: MLflow, SageMaker, Azure ML. What a body is, is told by the request alone, and no body is two things: with
 * an inference header, or when `inputs` are all tensors with name, shape and datatype, it is V2; `dataframe_*`, `instances`, other `inputs`
 * and CSV are MLflow's. Each is answered in its own form.
 */
export async function answerInvocation(
  serving: Serving,
  exchange: Exchange,
  options: InvocationOptions = {},
): Promise<void> {
  const { model, paramsKey = "params" } = options;
  const { headers } = exchange.request;
  const given = headers["content-type"] ?? "";
  const type = parseContentType(headers["content-type"]);
  const headerLength = headers["inference-header-content-length"] ?? type.jsonHeaderSize;
  const refusal = refusedContentType(type, given, headerLength !== undefined);
  if (refusal !== undefined) {
    exchange.request.resume();
    answer(exchange, 415, refusal, "text/plain; charset=utf-8");
    observeAnswer(serving, { protocol: "mlflow", status: 415, startedAt: exchange.startedAt, rows: 0 });
    return;
  }
  const through = throughModel(serving, model);
  if (through !== undefined) return invokeThrough(serving, exchange, through);
  const route: PredictionRoute = {
    protocol: "mlflow",
    model,
    parse(_exchange, body, served) {
      if (headerLength === undefined && type.type === "text/csv") {
        return predictionsParsed(tableFromCsv(csvText(body), served.model.signature));
      }
      const json = headerLength === undefined ? parseJson(body) : undefined;
      if (headerLength === undefined && !looksLikeV2(json)) {
        const own = options.parseOwn?.(json, served);
        if (own !== undefined) return own;
        const { table, params } = parseInvocation(json, served.model, paramsKey);
        return predictionsParsed(table, params);
      }
      route.protocol = "v2";
      exchange.errorForm = plainError;
      return v2Parsed(readEither(json, body, headerLength, served), served);
    },
  };
  await answerPrediction(serving, exchange, route);
}

function readEither(json: unknown, body: Buffer, headerLength: string | string[] | undefined, served: ServedModel) {
  const { signature } = served.model;
  if (headerLength !== undefined) return readV2(body, String(headerLength), signature);
  const other = formats.find(
    (format) => format !== "inputs" && (json as Record<string, unknown>)[format] !== undefined,
  );
  if (other !== undefined)
    throw badRequest(`The body holds tensors in "inputs" and "${other}"; it must hold one of them`);
  return parseV2(json, undefined, signature);
}

/** MLflow's server answers these in plain text with 415. Absent: the type is one that is understood. */
function refusedContentType(
  { type, charset, others }: ContentType,
  given: string,
  binary: boolean,
): string | undefined {
  if (charset !== "utf-8") return "The scoring server only supports UTF-8";
  if (others.length > 0) return `Unrecognized content type parameters: ${others.join(", ").slice(0, 200)}.`;
  if (["", "application/json", "text/csv"].includes(type) || (binary && binaryTypes.includes(type))) return undefined;
  return `This server understands the content types text/csv and application/json. Got '${given.slice(0, 100)}'.`;
}

function csvText(body: Buffer): string {
  if (!isUtf8(body)) throw badRequest("The body is not UTF-8 text");
  // Excel and pandas' "utf-8-sig" put a byte order mark before the first column's name.
  return body.toString("utf8").replace(/^\ufeff/, "");
}

function predictionsParsed(table: Table, params?: Readonly<Record<string, unknown>>): HttpParsed {
  return { table, params, render: ({ outputs }) => ({ body: renderPredictions(outputs, table.rows) }) };
}
