import { apiPrefix } from "@espalier/contract";
import { EspalierError } from "@espalier/core";
import fastify, { type FastifyBaseLogger, type FastifyInstance, type FastifyRequest, LogController } from "fastify";
import { serializerCompiler, validatorCompiler } from "fastify-type-provider-zod";
import { checkHost, type HostPolicy } from "./allowed-hosts.ts";
import { authenticateMlflow } from "./authenticate-mlflow.ts";
import { errorBody, errorForClient } from "./error-reply.ts";
import { authorize, type Principal, type ServerPolicy, type VerifyToken } from "./principal.ts";

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
}

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
    requestTimeout: 0,
  });
  app.setValidatorCompiler(validatorCompiler);
  app.setSerializerCompiler(serializerCompiler);
  app.removeContentTypeParser("text/plain");
  app.addContentTypeParser("application/octet-stream", (_request, payload, done) => done(null, payload));
  app.decorateRequest("principal", undefined);

  app.addHook("onRoute", (route) => {
    if (route.config?.policy === undefined) {
      throw new EspalierError("INTERNAL", `The route ${String(route.method)} ${route.url} has no policy`);
    }
  });
  app.addHook("onRequest", async (request) => {
    checkHost(options.hosts, request.headers.host, request.headers.origin);
    const policy = request.is404 ? unknownRoutePolicy(request) : request.routeOptions.config.policy;
    if (policy === "open" || policy === "signed") return;
    const isMlflow = policy === "mlflow-read" || policy === "mlflow-write";
    request.principal = isMlflow
      ? await authenticateMlflow(request, options.verifyToken)
      : await authenticate(request, options.verifyToken);
    if (policy === undefined) throw new EspalierError("PERMISSION_DENIED", "Nobody may call this route");
    const { id } = (request.params ?? {}) as { id?: string };
    authorize(policy, request.principal, id);
  });

  app.setNotFoundHandler((request) => {
    throw new EspalierError("NOT_FOUND", `There is nothing at ${request.method} ${request.url.split("?")[0]}`, {
      hint: `${apiPrefix}/openapi.json lists what there is.`,
    });
  });
  app.setErrorHandler((error, request, reply) => {
    const told = errorForClient(error, request.id);
    if (told.code === "INTERNAL") request.log.error({ err: error, code: told.code }, "a request failed");
    else if (told.httpStatus >= 500) request.log.warn({ err: error, code: told.code }, "a request could not be met");
    else request.log.debug({ code: told.code, message: told.message, route: request.routeOptions.url }, "refused");
    if (told.code === "UNAUTHENTICATED") reply.header("www-authenticate", 'Bearer realm="espalier"');
    if (told.retryable) reply.header("retry-after", "1");
    void reply
      .status(told.httpStatus)
      .type("application/json; charset=utf-8")
      .serializer((body: unknown) => JSON.stringify(body))
      .send(errorBody(told, options.projectDirectory));
  });
  return app;
}

/** What does not exist is told only to those who may know what exists. */
function unknownRoutePolicy(request: FastifyRequest): ServerPolicy {
  return request.url.startsWith(`${apiPrefix}/`) ? "viewer" : "open";
}

async function authenticate(request: FastifyRequest, verifyToken: VerifyToken): Promise<Principal> {
  const [scheme, token] = request.headers.authorization?.split(" ") ?? [];
  const hint = "Send `Authorization: Bearer <token>`; on this machine the token is in .espalier/owner.json.";
  if (scheme?.toLowerCase() !== "bearer" || token === undefined || token === "") {
    throw new EspalierError("UNAUTHENTICATED", "The request carries no token", { hint });
  }
  const principal = await verifyToken(token);
  if (principal === undefined) {
    throw new EspalierError("UNAUTHENTICATED", "The token is unknown, revoked or expired", { hint });
  }
  return principal;
}
