import { didYouMean, type EndpointStatus, EspalierError, type Json, strategyOf } from "@espalier/core";
import type { ControlPlane } from "../control-plane.ts";
import type { EndpointRow } from "../db/queries/endpoints.ts";
import type { ModelVersionRow } from "../db/queries/models.ts";
import { type DeployResult, deploy } from "../deployments/deploy.ts";
import { exclusively } from "../deployments/exclusively.ts";
import { rollback } from "../deployments/rollback.ts";
import { advanceRollout } from "../deployments/rollout-steps.ts";
import { applyDesired, noEndpoint } from "../deployments/serve.ts";
import { applyEndpoints } from "../endpoints/apply-endpoints.ts";
import { deleteEndpoint } from "../endpoints/delete-endpoint.ts";
import type { HandlersOf, NamesUnder } from "../http/handler.ts";
import { requireContent } from "../models/version-content.ts";
import { requireVerdict } from "../steps/gate-verdict.ts";
import { actorOf } from "./actor.ts";
import { changeOf, endpointOf, rolloutOf } from "./endpoint-views.ts";
import { versionReference } from "./models.ts";

const predictionTimeoutMilliseconds = 120_000;

export function endpointHandlers(plane: ControlPlane): HandlersOf<NamesUnder<"endpoints"> | NamesUnder<"rollouts">> {
  const { record, stack } = plane;
  return {
    "endpoints.list": async ({ query }) => {
      const page = await record.endpoints.list(query);
      return { ...page, items: await Promise.all(page.items.map((row) => endpointOf(plane, row))) };
    },
    "endpoints.get": async ({ params }) => endpointOf(plane, await requireEndpoint(plane, params.name)),
    "endpoints.apply": async (input) => ({
      endpoints: await applyEndpoints(plane, { ...input.body, by: actorOf(input), insist: true }),
    }),
    "endpoints.deploy": async (input) => {
      const { model, version: wanted, strategy, weight, rollout, captureRate, gate } = input.body;
      const found = await requestedVersion(plane, model, wanted);
      const version = await requireContent(plane, found);
      await requireVerdict(record, version.digest, gate === undefined ? {} : { gate }, "body.version");
      const result = await deploy(plane, {
        endpoint: input.params.name,
        version,
        strategy: strategyOf(strategy ?? "all"),
        weight,
        rollout,
        captureRate,
        alias: "champion",
        by: actorOf(input),
      });
      return resultOf(plane, result);
    },
    "endpoints.rollback": async (input) => {
      const result = await rollback(plane, input.params.name, actorOf(input), input.body?.reason);
      return resultOf(plane, result);
    },
    "endpoints.predict": async ({ params, query, body, signal }) => {
      const endpoint = await requireEndpoint(plane, params.name);
      const status = (await stack.deployer.status(params.name)) ?? (await applyDesired(plane, endpoint)).status;
      if (status === undefined || !status.ready) {
        throw new EspalierError("UNAVAILABLE", `Endpoint ${params.name} is not ready`, {
          hint: "`espalier deploy` again starts what should run.",
        });
      }
      return predict(status, query, body, signal);
    },
    "endpoints.delete": async (input) => {
      const { name } = input.params;
      await requireEndpoint(plane, name);
      await deleteEndpoint(plane, name, actorOf(input));
      return { done: true };
    },
    "rollouts.advance": async ({ params }) => {
      const rollout = await record.rollouts.get(params.rolloutId);
      if (rollout === undefined) throw new EspalierError("NOT_FOUND", `There is no rollout ${params.rolloutId}`);
      return rolloutOf(await exclusively(plane, rollout.endpoint, () => advanceRollout(plane, rollout.id)));
    },
    "endpoints.rollouts": async ({ params, query }) => {
      const page = await record.rollouts.list(params.name, query);
      return { ...page, items: page.items.map(rolloutOf) };
    },
    "endpoints.history": async ({ params, query }) => {
      if ((await record.endpoints.get(params.name)) === undefined) throw noEndpoint(params.name);
      const page = await record.endpoints.history(params.name, query);
      return { ...page, items: page.items.map(changeOf) };
    },
  };
}

async function requireEndpoint({ record }: ControlPlane, name: string): Promise<EndpointRow> {
  const endpoint = await record.endpoints.get(name);
  if (endpoint === undefined || endpoint.deletedAt !== undefined) throw noEndpoint(name);
  return endpoint;
}

async function resultOf(plane: ControlPlane, { endpoint, rollout, unchanged }: DeployResult) {
  return {
    endpoint: await endpointOf(plane, endpoint),
    ...(rollout === undefined ? {} : { rollout: rolloutOf(rollout) }),
    unchanged,
  };
}

/** NOT_FOUND says whether it is the model or the version that is not there, and what is. */
async function requestedVersion({ record }: ControlPlane, model: string, wanted: string): Promise<ModelVersionRow> {
  if (!/^([1-9]\d*|latest|@.+)$/.test(wanted)) {
    throw new EspalierError("INVALID_INPUT", "A version is a number, `latest` or `@alias`", { at: "body.version" });
  }
  const found = await record.models.version(model, versionReference(wanted));
  if (found !== undefined) return found;
  if ((await record.models.get(model)) !== undefined) {
    throw new EspalierError("NOT_FOUND", `There is no version ${wanted} of the model ${model}`, {
      hint: `\`espalier model show ${model}\` lists versions and aliases.`,
    });
  }
  const names = (await record.models.list({ limit: 1000 })).items.map(({ name }) => name);
  throw new EspalierError("NOT_FOUND", `There is no model ${model}`, {
    hint:
      names.length === 0
        ? "No model is registered yet: run a pipeline with a `register` step (`espalier run`), or log one with MLflow's client."
        : didYouMean(model, names, "models"),
  });
}

async function predict(
  status: EndpointStatus,
  { version, protocol }: { version?: string | undefined; protocol: "v2" | "invocations" },
  body: Json,
  signal: AbortSignal,
): Promise<Json> {
  const model = `/v2/models/${encodeURIComponent(status.name)}`;
  const path =
    protocol === "invocations"
      ? "/invocations"
      : `${model}${version === undefined ? "" : `/versions/${encodeURIComponent(version)}`}/infer`;
  let response: Response;
  try {
    response = await fetch(`${status.url}${path}`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
      signal: AbortSignal.any([signal, AbortSignal.timeout(predictionTimeoutMilliseconds)]),
    });
  } catch (cause) {
    throw new EspalierError("UNREACHABLE", `Endpoint ${status.name} does not answer`, {
      cause,
      hint: "`espalier deploy` again starts what should run.",
    });
  }
  const text = await response.text();
  if (response.ok) return JSON.parse(text) as Json;
  throw predictionError(status.name, response.status, text);
}

function predictionError(endpoint: string, status: number, text: string): EspalierError {
  let message = `Endpoint ${endpoint} answered ${status}`;
  try {
    const parsed = JSON.parse(text) as { error?: unknown; message?: unknown };
    const told =
      typeof parsed.error === "object" && parsed.error !== null && "message" in parsed.error
        ? parsed.error.message
        : (parsed.error ?? parsed.message);
    if (typeof told === "string") message = told;
  } catch {
    // Not JSON: the status says what can be said.
  }
  const code =
    status === 429
      ? "RATE_LIMITED"
      : status >= 500
        ? "UNAVAILABLE"
        : status === 404
          ? "NOT_FOUND"
          : "SIGNATURE_MISMATCH";
  return new EspalierError(code, message, { details: { status } });
}
