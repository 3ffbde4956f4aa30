import { Readable } from "node:stream";
import { type RouteDefinition, type RouteName, routes } from "@espalier/contract";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { errorBody, errorForClient } from "./error-reply.ts";
import { sendEvents } from "./event-stream.ts";
import type { BytesAnswer, Handlers, RequestContext, ServerEvent } from "./handler.ts";

export interface RegisterOptions {
  handlers: Handlers;
  projectDirectory: string;
  /** Aborted when the server closes, so that streams end. */
  closing: AbortSignal;
  /** Called for every change, whatever came of it. */
  audit(entry: { actor: string; action: RouteName; subject: string; outcome: string }): Promise<void>;
}

type LooseHandler = (input: RequestContext & Record<string, unknown>) => unknown;

/** Bytes; a batch of rows for a prediction is larger than any other document. */
const largestPredictionBody = 32 * 1024 * 1024;

/** Makes every route of the contract real. */
export function registerRoutes(app: FastifyInstance, options: RegisterOptions): void {
  for (const [name, route] of Object.entries(routes) as [RouteName, RouteDefinition][]) {
    const handler = options.handlers[name] as unknown as LooseHandler;
    const isChange = route.method !== "GET" && route.role !== "viewer" && route.role !== "signed";
    app.route({
      method: route.method,
      url: route.path,
      config: { policy: route.role },
      ...(name === "endpoints.predict" ? { bodyLimit: largestPredictionBody } : {}),
      ...(route.body === "bytes" ? { bodyLimit: Number.MAX_SAFE_INTEGER } : {}),
      schema: {
        ...(route.params === undefined ? {} : { params: route.params }),
        ...(route.query === undefined ? {} : { querystring: route.query }),
        ...(route.body === undefined || route.body === "bytes" ? {} : { body: route.body }),
        ...(route.kind === "json" && route.response !== undefined ? { response: { 200: route.response } } : {}),
      },
      ...(acceptsNoBody(route) ? { preValidation: noBodyAsEmpty } : {}),
      handler: async (request, reply) => {
        const input = inputOf(request, reply, options.closing);
        if (!isChange) return answer(route, handler, input, request, reply, options);
        const subject = Object.values((request.params ?? {}) as Record<string, string>).join("/");
        const entry = { actor: request.principal?.actor ?? "nobody", action: name, subject };
        try {
          const result = await handler(input);
          await options.audit({ ...entry, outcome: "ok" });
          return result;
        } catch (error) {
          await options.audit({ ...entry, outcome: errorForClient(error, request.id).code });
          throw error;
        }
      },
    });
  }
}

async function answer(
  route: RouteDefinition,
  handler: LooseHandler,
  input: RequestContext & Record<string, unknown>,
  request: FastifyRequest,
  reply: FastifyReply,
  options: RegisterOptions,
): Promise<unknown> {
  if (route.kind === "json") return handler(input);
  if (route.kind === "bytes") return sendBytes(reply, (await handler(input)) as BytesAnswer);
  const events = handler(input) as AsyncIterable<ServerEvent<unknown>>;
  await sendEvents(reply, events, input.signal, (error) => {
    request.log.warn({ err: error }, "an event stream failed");
    return JSON.stringify(errorBody(errorForClient(error, request.id), options.projectDirectory));
  });
  return reply;
}

function sendBytes(reply: FastifyReply, bytes: BytesAnswer): FastifyReply {
  reply.type(bytes.contentType ?? "application/octet-stream");
  // A stored file is never a page of ours, whatever its bytes say.
  reply.header("x-content-type-options", "nosniff");
  if (bytes.contentType?.startsWith("text/html")) reply.header("content-security-policy", "sandbox allow-scripts");
  if (bytes.size !== undefined) reply.header("content-length", bytes.size);
  if (bytes.fileName !== undefined) {
    reply.header("content-disposition", `attachment; filename*=UTF-8''${encodeURIComponent(bytes.fileName)}`);
  }
  if (typeof bytes.body === "string" || bytes.body instanceof Uint8Array) return reply.send(bytes.body);
  return reply.send(Readable.from(bytes.body, { objectMode: false }));
}

function inputOf(
  request: FastifyRequest,
  reply: FastifyReply,
  closing: AbortSignal,
): RequestContext & Record<string, unknown> {
  const gone = new AbortController();
  reply.raw.once("close", () => gone.abort());
  const lastEventId = request.headers["last-event-id"];
  return {
    params: request.params,
    query: request.query,
    body: request.body,
    principal: request.principal,
    signal: AbortSignal.any([gone.signal, closing]),
    lastEventId: Array.isArray(lastEventId) ? lastEventId[0] : lastEventId,
    rest: (request.params as Record<string, string> | undefined)?.["*"] ?? "",
    contentLength: contentLengthOf(request.headers["content-length"]),
  };
}

function acceptsNoBody(route: RouteDefinition): boolean {
  return typeof route.body === "object" && route.body.safeParse(undefined).success;
}

async function noBodyAsEmpty(request: FastifyRequest): Promise<void> {
  // Fastify validates an absent body as null.
  request.body ??= {};
}

function contentLengthOf(header: string | undefined): number | undefined {
  return header !== undefined && /^\d{1,15}$/.test(header) ? Number(header) : undefined;
}
