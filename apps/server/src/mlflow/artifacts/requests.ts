import { Readable } from "node:stream";
import { type ByteStream, EspalierError } from "@espalier/core";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import type { ControlPlane } from "../../control-plane.ts";
import { errorForClient } from "../../http/error-reply.ts";
import type { Principal } from "../../http/principal.ts";
import { asFields, type Fields } from "../fields.ts";
import { parseJson, writeJson } from "../int64-json.ts";
import { mlflowError } from "../mlflow-error.ts";
import { type ExperimentScope, scopeOf } from "../scope.ts";
import type { Body } from "./receive.ts";

/** The request's bytes, of whatever type they say they are. */
export function takeBodiesAsBytes(scope: FastifyInstance): void {
  scope.removeAllContentTypeParsers();
  scope.addContentTypeParser("*", (_request, payload, done) => done(null, payload));
}

export function bodyOf({ body, headers }: FastifyRequest): Body {
  const length = headers["content-length"];
  if (body === undefined || body === null) return { stream: nothing(), size: 0 };
  if (!(body instanceof Readable)) throw new EspalierError("INTERNAL", "A body of bytes was parsed");
  return {
    stream: readThrough(body),
    size: length !== undefined && /^\d{1,15}$/.test(length) ? Number(length) : undefined,
  };
}

/**
 * A reader that stops early, such as at a limit, must not take the connection with it, or the client would never see why; and what is left
 * has to go by, or the connection's next request would wait behind it.
 */
async function* readThrough(body: Readable): ByteStream {
  try {
    for await (const chunk of body.iterator({ destroyOnReturn: false })) yield chunk as Uint8Array;
  } catch (cause) {
    throw new EspalierError("INVALID_INPUT", "The upload broke off", { cause });
  } finally {
    body.resume();
  }
}

async function* nothing(): AsyncGenerator<Uint8Array> {
  // A request without a body has an empty one.
}

/** A JSON object; what does not parse counts as an empty one, as on the rest of this face. */
export async function fieldsOfBody(request: FastifyRequest, largestBytes: number): Promise<Fields> {
  if (!(request.headers["content-type"] ?? "").startsWith("application/json")) {
    throw mlflowError("INVALID_PARAMETER_VALUE", "Bad Request. Content-Type must be one of ['application/json'].");
  }
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of bodyOf(request).stream) {
    size += chunk.byteLength;
    if (size > largestBytes) throw new EspalierError("TOO_LARGE", "The request's body is too large");
    chunks.push(chunk);
  }
  let value: unknown;
  try {
    value = parseJson(Buffer.concat(chunks).toString("utf8"));
  } catch {
    return {};
  }
  return asFields(value, "body");
}

export async function callerOf(
  { record }: Pick<ControlPlane, "record">,
  { principal }: FastifyRequest,
): Promise<{ principal: Principal; scope: ExperimentScope }> {
  if (principal === undefined) throw new EspalierError("UNAUTHENTICATED", "The request carries no token");
  return { principal, scope: await scopeOf(record, principal) };
}

export function sendJson(reply: FastifyReply, body: object): FastifyReply {
  return reply
    .type("application/json; charset=utf-8")
    .serializer((text: unknown) => String(text))
    .send(writeJson(body));
}

/** Leaves a row of audit, whatever comes of it. Uploads have none: the file itself says who put it. */
export async function audited<Answer>(
  { record }: Pick<ControlPlane, "record">,
  request: FastifyRequest,
  action: string,
  subject: string,
  work: () => Promise<Answer>,
): Promise<Answer> {
  const entry = { actor: request.principal?.actor ?? "nobody", action, subject };
  try {
    const answer = await work();
    await record.audit.append({ ...entry, outcome: "ok" });
    return answer;
  } catch (error) {
    await record.audit.append({ ...entry, outcome: errorForClient(error, request.id).code });
    throw error;
  }
}
