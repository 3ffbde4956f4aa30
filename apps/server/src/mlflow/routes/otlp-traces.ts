import { promisify } from "node:util";
import { brotliDecompress, gunzip, inflate } from "node:zlib";
import { EspalierError } from "@espalier/core";
import type { FastifyInstance, FastifyRequest } from "fastify";
import type { ControlPlane } from "../../control-plane.ts";
import { missing } from "../fields.ts";
import { mlflowError } from "../mlflow-error.ts";
import { experimentForNew, scopeOf } from "../scope.ts";
import { refuseWrite, withinOf } from "../traces/known-trace.ts";
import { decodeJson } from "../traces/otlp/decode-json.ts";
import { decodeProtobuf } from "../traces/otlp/decode-protobuf.ts";
import { malformed } from "../traces/otlp/wire.ts";
import { spansOfRequest } from "../traces/spans-of-request.ts";
import { experimentIdOf, requireRunInfo } from "../tracked.ts";

/** Bytes of one request, packed and unpacked. Exporters send some hundred spans at once. */
const largestBody = 64 * 1024 * 1024;

const experimentHeader = "x-mlflow-experiment-id";
const runHeader = "x-mlflow-run-id";

/** Spans as OpenTelemetry's exporters send them. Source: opentelemetry.io/docs/specs/otlp, OTLP/HTTP. */
export function registerOtlpTraces(scope: FastifyInstance, plane: ControlPlane): void {
  scope.register(async (own) => {
    own.removeAllContentTypeParsers();
    own.addContentTypeParser("*", { parseAs: "buffer", bodyLimit: largestBody }, (_request, body, done) =>
      done(null, body),
    );
    own.post("/v1/traces", { config: { policy: "mlflow-write" }, bodyLimit: largestBody }, async (request, reply) => {
      const isJson = mediaTypeOf(request) === "application/json";
      await takeSpans(plane, request, isJson);
      // An empty answer of the message's own kind: nothing was refused.
      if (isJson) return reply.type("application/json").send("{}");
      return reply.type("application/x-protobuf").send(Buffer.alloc(0));
    });
  });
}

async function takeSpans(plane: ControlPlane, request: FastifyRequest, isJson: boolean): Promise<void> {
  const { principal } = request;
  if (principal === undefined) throw new EspalierError("UNAUTHENTICATED", "The request carries no token");
  const scope = await scopeOf(plane.record, principal);
  const named = experimentIdOf(headerOf(request, experimentHeader) ?? missing(experimentHeader));
  const experimentId = experimentForNew(scope, named);
  const given = headerOf(request, runHeader);
  const run = given === undefined ? undefined : await requireRunInfo(plane, scope, given);
  const body = await unpacked(request);
  const { spans, traces } = spansOfRequest(isJson ? decodeJson(body) : decodeProtobuf(body));
  if (spans.length === 0) malformed("no spans found");
  const outcome = await plane.record.traces.logSpans({
    experimentId,
    within: withinOf(scope),
    runId: run?.id,
    spans,
    traces,
  });
  if (outcome.kind !== "logged") refuseWrite(outcome, experimentId, scope);
}

function headerOf(request: FastifyRequest, name: string): string | undefined {
  const value = request.headers[name];
  return typeof value === "string" && value !== "" ? value : undefined;
}

function mediaTypeOf(request: FastifyRequest): string {
  const given = request.headers["content-type"] ?? "";
  const type = given.split(";")[0]?.trim().toLowerCase() ?? "";
  if (type === "application/x-protobuf" || type === "application/json") return type;
  throw mlflowError(
    "BAD_REQUEST",
    `Invalid Content-Type: ${given.slice(0, 200)}. Expected: application/x-protobuf or application/json`,
  );
}

const unpackers = {
  gzip: promisify(gunzip),
  deflate: promisify(inflate),
  br: promisify(brotliDecompress),
};

/** Off the main thread; what unpacks to more than a body may have is refused before it fills the memory. */
async function unpacked(request: FastifyRequest): Promise<Buffer> {
  const body = Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0);
  const encoding = headerOf(request, "content-encoding")?.toLowerCase() ?? "identity";
  if (encoding === "identity") return body;
  if (!(encoding in unpackers))
    throw mlflowError("BAD_REQUEST", `Unsupported Content-Encoding: ${encoding.slice(0, 50)}`);
  try {
    return await unpackers[encoding as keyof typeof unpackers](body, { maxOutputLength: largestBody });
  } catch (error) {
    if (error instanceof RangeError) throw new EspalierError("TOO_LARGE", "The request's body unpacks to too much");
    throw mlflowError("BAD_REQUEST", "The body could not be unpacked", { cause: error });
  }
}
