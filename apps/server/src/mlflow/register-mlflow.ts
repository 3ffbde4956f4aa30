import { EspalierError } from "@espalier/core";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import type { ControlPlane } from "../control-plane.ts";
import { errorForClient, isStackOverflow, retryAfterSeconds, withoutProjectPaths } from "../http/error-reply.ts";
import { asFields, type Fields } from "./fields.ts";
import { parseJson, writeJson } from "./int64-json.ts";
import { mlflowError, mlflowReply } from "./mlflow-error.ts";
import type { MlflowRoute } from "./mlflow-route.ts";
import { mlflowRoutes } from "./routes/all.ts";
import { registerArtifactProxy } from "./routes/artifact-proxy.ts";
import { registerOtlpTraces } from "./routes/otlp-traces.ts";
import { registerSystem } from "./routes/system.ts";
import { scopeOf } from "./scope.ts";

const prefixes = ["/api/2.0", "/api/3.0", "/ajax-api/2.0", "/ajax-api/3.0"] as const;

/** MLflow's REST face: tracking, registry, traces and the artifact proxy, for the clients that teams already use. */
export async function registerMlflow(app: FastifyInstance, plane: ControlPlane): Promise<void> {
  const routes = mlflowRoutes(plane);
  for (const prefix of prefixes) {
    await app.register(
      async (scope) => {
        readBodiesLikeMlflow(scope);
        answerErrorsLikeMlflow(scope, plane.project.directory);
        for (const route of routes) if (prefix.endsWith(route.api)) registerRoute(scope, plane, route, prefix);
      },
      { prefix },
    );
  }
  await app.register(async (scope) => {
    answerErrorsLikeMlflow(scope, plane.project.directory, false);
    registerSystem(scope);
    registerOtlpTraces(scope, plane);
  });
  await app.register(async (scope) => {
    answerErrorsLikeMlflow(scope, plane.project.directory, false);
    registerArtifactProxy(scope, plane);
  });
}

function registerRoute(scope: FastifyInstance, plane: ControlPlane, route: MlflowRoute, prefix: string): void {
  const isWrite = route.access === "write";
  const action = `mlflow.${route.path.slice("/mlflow/".length).replaceAll("/", ".")}`;
  scope.route({
    method: route.method,
    url: route.path,
    config: { policy: isWrite ? "mlflow-write" : "mlflow-read" },
    ...(route.bodyLimit === undefined ? {} : { bodyLimit: route.bodyLimit }),
    handler: async (request, reply) => {
      const { principal } = request;
      if (principal === undefined) throw new EspalierError("UNAUTHENTICATED", "The request carries no token");
      let signal: AbortSignal | undefined;
      const work = async (): Promise<object | string> =>
        route.handle({
          fields: fieldsOf(request),
          principal,
          scope: await scopeOf(plane.record, principal),
          // Made when somebody asks: it costs more than a small request does.
          get signal() {
            signal ??= AbortSignal.any([goneSignal(reply), plane.closing]);
            return signal;
          },
        });
      const answer =
        isWrite && route.audited !== false ? await audited(plane, request, action, prefix, work) : await work();
      return reply
        .type("application/json; charset=utf-8")
        .serializer((body: unknown) => String(body))
        .send(typeof answer === "string" ? answer : writeJson(answer));
    },
  });
}

function goneSignal(reply: FastifyReply): AbortSignal {
  const gone = new AbortController();
  reply.raw.once("close", () => gone.abort());
  if (reply.raw.closed) gone.abort();
  return gone.signal;
}

async function audited<Answer>(
  { record }: ControlPlane,
  request: FastifyRequest,
  action: string,
  face: string,
  work: () => Promise<Answer>,
): Promise<Answer> {
  const entry = { actor: request.principal?.actor ?? "nobody", action, subject: subjectOf(fieldsOf(request)) };
  try {
    const answer = await work();
    await record.audit.append({ ...entry, outcome: "ok" });
    return answer;
  } catch (error) {
    await record.audit.append({ ...entry, outcome: errorForClient(error, request.id).code });
    throw error;
  } finally {
    request.log.debug({ action, face }, "mlflow");
  }
}

const subjects = ["run_id", "run_uuid", "experiment_id", "name", "model_id", "trace_id", "request_id", "webhook_id"];

/** What a change was about; as long as a name may be. */
function subjectOf(fields: Fields): string {
  const found = subjects.map((name) => fields[name]).find((value) => typeof value === "string" && value !== "");
  return typeof found === "string" ? found.slice(0, 500) : "";
}

function fieldsOf(request: FastifyRequest): Fields {
  const given = request.method === "GET" ? request.query : (request.body ?? request.query);
  return { ...asFields(given ?? {}, "body"), ...(request.params as Fields) };
}

/** JSON whose content does not parse counts as an empty object, and one that was encoded twice is decoded twice, as in MLflow's server. */
function readBodiesLikeMlflow(scope: FastifyInstance): void {
  scope.removeAllContentTypeParsers();
  scope.addContentTypeParser(/^application\/json/, { parseAs: "string" }, (_request, text, done) => {
    try {
      const value = text === "" ? {} : parseJson(text as string);
      done(null, typeof value === "string" ? parseJson(value) : value);
    } catch {
      // A syntax error is no error here: what is required is then missing, and that is what the client is told.
      done(null, {});
    }
  });
  scope.addContentTypeParser("*", (request, payload, done) => {
    payload.resume();
    if (request.headers["content-length"] === "0") return done(null, {});
    done(
      mlflowError("INVALID_PARAMETER_VALUE", "Bad Request. Content-Type must be one of ['application/json']."),
      undefined,
    );
  });
}

function answerErrorsLikeMlflow(scope: FastifyInstance, projectDirectory: string, withNotFound = true): void {
  scope.setErrorHandler((thrown, request, reply) => {
    const error = errorForClient(thrown, request.id);
    const { status, body } = mlflowReply(error);
    body.message = withoutProjectPaths(body.message, projectDirectory);
    const about = { err: error, code: body.error_code, route: request.routeOptions.url };
    const isFault = body.error_code === "INTERNAL_ERROR" || isStackOverflow(thrown);
    if (isFault) request.log.error({ ...about, err: thrown }, "an MLflow request failed");
    else request.log.info({ code: body.error_code, message: body.message, route: about.route }, "refused");
    if (status === 401) reply.header("www-authenticate", 'Basic realm="mlflow"');
    if (status === 429 || status === 503) reply.header("retry-after", String(retryAfterSeconds(error)));
    void reply
      .status(status)
      .type("application/json; charset=utf-8")
      .serializer((text: unknown) => String(text))
      .send(writeJson(body));
  });
  if (!withNotFound) return;
  scope.setNotFoundHandler((request) => {
    throw mlflowError("ENDPOINT_NOT_FOUND", `No such endpoint: ${request.method} ${request.url.split("?")[0]}`);
  });
}
