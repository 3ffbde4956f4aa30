import { apiPrefix } from "@espalier/contract";
import { EspalierError } from "@espalier/core";
import fastify, {
  type FastifyBaseLogger,
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
  LogController,
} from "fastify";
import { serializerCompiler, validatorCompiler } from "fastify-type-provider-zod";
import { routableUrl } from "../mlflow/artifacts/routable-url.ts";
import { cookieOf, requireSamePage } from "../web/session-routes.ts";
import type { Sessions } from "../web/sessions.ts";
import { isNavigation, type WebFiles } from "../web/web-files.ts";
import { checkHost, type HostPolicy } from "./allowed-hosts.ts";
import { authenticateMlflow } from "./authenticate-mlflow.ts";
import { answerClientError } from "./client-error.ts";
import { errorBody, errorForClient, isStackOverflow, retryAfterSeconds, summaryOf } from "./error-reply.ts";
import { authorize, type Principal, type ServerPolicy, type VerifyToken } from "./principal.ts";
import { type BodyTimes, endSlowBodies } from "./slow-bodies.ts";
import { createTokenBuckets } from "./token-buckets.ts";

declare module "fastify" {
  interface FastifyContextConfig {
    /** Who may call the route. One without it is refused when it is registered. */
    policy?: ServerPolicy;
  }
  interface FastifyRequest {
    principal: Principal | undefined;
  }
}

export interface AppOptions {
  logger: FastifyBaseLogger;
  hosts: HostPolicy;
  verifyToken: VerifyToken;
  projectDirectory: string;
  /** Of each token; the owner and tokenless processes of this machine have none. */
  rateLimit?: { perSecond: number; burst: number };
  /** false: the MLflow face wants a token from this machine too. */
  loopbackWithoutToken?: boolean;
  /** The web UI: whom a browser's cookie stands for, and the page for addresses that are its own. */
  web?: { sessions: Sessions; files: WebFiles } | undefined;
  /** How long a client may take; the usual times by default. */
  times?: { headersMilliseconds: number; bodies: BodyTimes };
}

/** About what one process can answer at all: it keeps one client from starving the others, and is noticed by no honest one. */
const usualRateLimit = { perSecond: 5_000, burst: 10_000 };
const usualHeadersMilliseconds = 30_000;

/** Bytes of a JSON body; routes that take more say so themselves. */
const largestJsonBody = 1024 * 1024;

/** An HTTP server that denies by default: Host and Origin, then token and role, then the schema of the route. */
export function createApp(options: AppOptions): FastifyInstance {
  const app = fastify({
    loggerInstance: options.logger,
    logController: new LogController({ disableRequestLogging: true }),
    bodyLimit: largestJsonBody,
    // A request that is under way while the server closes is answered: another command may have sent it.
    forceCloseConnections: "idle",
    return503OnClosing: false,
    routerOptions: { maxParamLength: 4096, ignoreTrailingSlash: false },
    frameworkErrors: (_error, request, reply) => answerBadPath(request.url, reply),
    clientErrorHandler: answerClientError,
    // Uploads may take hours; what comes before the body, and a body that does not come, are limited by themselves.
    requestTimeout: 0,
    rewriteUrl: (request) => routableUrl(request.url ?? "/"),
    http: headerTimes(options.times?.headersMilliseconds ?? usualHeadersMilliseconds),
  });
  app.setValidatorCompiler(validatorCompiler);
  app.setSerializerCompiler(serializerCompiler);
  app.removeContentTypeParser("text/plain");
  app.addContentTypeParser("application/octet-stream", (_request, payload, done) => done(null, payload));
  app.decorateRequest("principal", undefined);

  endSlowBodies(app, options.times?.bodies);
  const buckets = createTokenBuckets(options.rateLimit ?? usualRateLimit);

  app.addHook("onRoute", (route) => {
    if (route.config?.policy === undefined) {
      throw new EspalierError("INTERNAL", `The route ${String(route.method)} ${route.url} has no policy`);
    }
  });
  app.addHook("onRequest", async (request, reply) => {
    reply.headers(securityHeaders);
    checkHost(options.hosts, request.headers.host, request.headers.origin);
    checkFetchSite(request);
    const policy = request.is404 ? unknownRoutePolicy(request) : request.routeOptions.config.policy;
    if (policy === "open" || policy === "signed") return;
    const isMlflow = policy === "mlflow-read" || policy === "mlflow-write";
    request.principal = isMlflow
      ? await authenticateMlflow(request, options.verifyToken, options.loopbackWithoutToken ?? true)
      : await authenticate(request, options);
    const { actor } = request.principal;
    if (actor !== "owner" && actor !== "loopback") requireCalm(buckets.take(actor));
    if (policy === undefined) throw new EspalierError("PERMISSION_DENIED", "Nobody may call this route");
    const { id } = (request.params ?? {}) as { id?: string };
    authorize(policy, request.principal, id);
  });

  app.setNotFoundHandler((request, reply) => {
    const { web } = options;
    // Which pages there are only the page's script knows.
    if (web?.files.isBuilt && isNavigation(request) && !/^\/(ajax-)?api\//.test(request.url))
      return web.files.page(reply);
    throw new EspalierError("NOT_FOUND", `There is nothing at ${request.method} ${request.url.split("?")[0]}`, {
      hint: `${apiPrefix}/openapi.json lists what there is.`,
    });
  });
  app.setErrorHandler((error, request, reply) => {
    const told = errorForClient(error, request.id);
    if (told.code === "INTERNAL" || isStackOverflow(error))
      request.log.error({ err: error, code: told.code }, "a request failed");
    else if (told.httpStatus >= 500) request.log.warn(summaryOf(told), "a request could not be met");
    else request.log.debug({ code: told.code, message: told.message, route: request.routeOptions.url }, "refused");
    if (told.code === "UNAUTHENTICATED") reply.header("www-authenticate", 'Bearer realm="espalier"');
    if (told.retryable) reply.header("retry-after", String(retryAfterSeconds(told)));
    void reply
      .status(told.httpStatus)
      .type("application/json; charset=utf-8")
      .serializer((body: unknown) => JSON.stringify(body))
      .send(errorBody(told, options.projectDirectory));
  });
  return app;
}

/** Answers are data: no page may frame them, take them for scripts, or load them from elsewhere. */
const securityHeaders = {
  "x-content-type-options": "nosniff",
  "x-frame-options": "SAMEORIGIN",
  "cross-origin-resource-policy": "same-origin",
  "referrer-policy": "no-referrer",
};

/**
 * Browsers send no Origin with the GET of an image or a script, but they say where it comes from. Only following a link is fine: its answer
 * is shown to the user and to no page.
 */
function checkFetchSite({ headers, method }: FastifyRequest): void {
  const site = headers["sec-fetch-site"];
  if (site === undefined || site === "same-origin" || site === "none") return;
  if (method === "GET" && headers["sec-fetch-mode"] === "navigate" && headers["sec-fetch-dest"] === "document") return;
  throw new EspalierError("FOREIGN_HOST", "The request comes from a page of another origin", {
    hint: "Only pages that this control plane serves may call it.",
  });
}

/** A path with a broken escape or with a part that is too long, which no route ever sees. Its form is that of the face it was meant for. */
function answerBadPath(url: string, reply: FastifyReply): void {
  const message = "The path is malformed or too long";
  const isMlflow = /^\/(ajax-)?api\/[23]\.0\//.test(url);
  const body = isMlflow
    ? { error_code: "INVALID_PARAMETER_VALUE", message }
    : { error: { code: "INVALID_INPUT", message, details: {} } };
  void reply
    .status(400)
    .type("application/json; charset=utf-8")
    .serializer((value: unknown) => JSON.stringify(value))
    .send(body);
}

function requireCalm(waitMilliseconds: number): void {
  if (waitMilliseconds === 0) return;
  throw new EspalierError("RATE_LIMITED", "This token has sent too many requests", {
    details: { retryAfterSeconds: Math.ceil(waitMilliseconds / 1000) },
    hint: "Send fewer at once (MLflow's `log_batch` takes 1,000 metrics), or raise `control_plane.rate_limit` in espalier.yaml.",
  });
}

function headerTimes(milliseconds: number): { headersTimeout: number; connectionsCheckingInterval: number } {
  return { headersTimeout: milliseconds, connectionsCheckingInterval: Math.min(10_000, milliseconds) };
}

/** What does not exist is told only to those who may know what exists. */
function unknownRoutePolicy(request: FastifyRequest): ServerPolicy {
  return request.url.startsWith(`${apiPrefix}/`) ? "viewer" : "open";
}

async function authenticate(request: FastifyRequest, { verifyToken, web }: AppOptions): Promise<Principal> {
  const cookie = request.headers.authorization === undefined ? cookieOf(request) : undefined;
  if (web !== undefined && cookie !== undefined) {
    requireSamePage(request);
    const principal = await web.sessions.verify(cookie, request.socket.remoteAddress);
    if (principal !== undefined) return principal;
    throw new EspalierError("UNAUTHENTICATED", "The session has ended", {
      hint: "Sign in again: by a token, or by the link that `espalier up` prints.",
    });
  }
  const [scheme, token] = request.headers.authorization?.split(" ") ?? [];
  const hint = "Send `Authorization: Bearer <token>`; on this machine the token is in .espalier/owner.json.";
  if (scheme?.toLowerCase() !== "bearer" || token === undefined || token === "") {
    throw new EspalierError("UNAUTHENTICATED", "The request carries no token", { hint });
  }
  const principal = await verifyToken(token, request.socket.remoteAddress);
  if (principal === undefined) {
    throw new EspalierError("UNAUTHENTICATED", "The token is unknown, revoked or expired", { hint });
  }
  return principal;
}
