import type { Endpoint } from "@espalier/contract";
import { type EndpointStatus, EspalierError, isEspalierError, type Json } from "@espalier/core";
import type { ControlPlane } from "../control-plane.ts";
import type { EndpointRow } from "../db/queries/endpoints.ts";
import { deploy, rollback } from "../deployments/deploy.ts";
import { exclusively } from "../deployments/exclusively.ts";
import { advanceRollout } from "../deployments/rollout-steps.ts";
import { applyDesired, noEndpoint } from "../deployments/serve.ts";
import type { HandlersOf, NamesUnder } from "../http/handler.ts";
import { requireContent } from "../models/version-content.ts";
import { requireVerdict } from "../steps/gate-verdict.ts";
import { actorOf } from "./actor.ts";
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
    "endpoints.deploy": async (input) => {
      const { model, version: wanted, strategy, weight, captureRate, gate } = input.body;
      if (!/^([1-9]\d*|latest|@.+)$/.test(wanted)) {
        throw new EspalierError("INVALID_INPUT", "A version is a number, `latest` or `@alias`", { at: "body.version" });
      }
      const found = await record.models.version(model, versionReference(wanted));
      if (found === undefined) {
        throw new EspalierError("NOT_FOUND", `There is no version ${wanted} of the model ${model}`, {
          hint: `\`espalier model show ${model}\` lists versions and aliases.`,
        });
      }
      const version = await requireContent(plane, found);
      await requireVerdict(record, version.digest, gate === undefined ? {} : { gate }, "body.version");
      const result = await deploy(plane, {
        endpoint: input.params.name,
        version,
        strategy: strategy ?? "direct",
        weight,
        captureRate,
        alias: "champion",
        by: actorOf(input),
      });
      return { ...result, endpoint: await endpointOf(plane, result.endpoint) };
    },
    "endpoints.rollback": async (input) => {
      const result = await rollback(plane, input.params.name, actorOf(input), input.body?.reason);
      return { ...result, endpoint: await endpointOf(plane, result.endpoint) };
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
    "endpoints.delete": async ({ params }) => {
      await requireEndpoint(plane, params.name);
      // Between the two steps a revival would find a wanted endpoint that does not serve, and start it for good.
      await exclusively(plane, params.name, async () => {
        await stack.deployer.delete(params.name);
        await record.endpoints.delete(params.name);
      });
      return { done: true };
    },
    "rollouts.advance": async ({ params }) => {
      const rollout = await record.rollouts.get(params.rolloutId);
      if (rollout === undefined) throw new EspalierError("NOT_FOUND", `There is no rollout ${params.rolloutId}`);
      return exclusively(plane, rollout.endpoint, () => advanceRollout(plane, rollout.id));
    },
    "endpoints.rollouts": async ({ params, query }) => record.rollouts.list(params.name, query),
  };
}

async function requireEndpoint({ record }: ControlPlane, name: string): Promise<EndpointRow> {
  const endpoint = await record.endpoints.get(name);
  if (endpoint === undefined || endpoint.deletedAt !== undefined) throw noEndpoint(name);
  return endpoint;
}

async function endpointOf({ stack }: ControlPlane, row: EndpointRow): Promise<Endpoint> {
  const status = await stack.deployer.status(row.name).catch((error: unknown) => {
    if (isEspalierError(error) && error.retryable) return undefined;
    throw error;
  });
  return {
    name: row.name,
    generation: row.generation,
    state: stateOf(row, status),
    ...(status === undefined ? {} : { url: status.url }),
    versions: row.spec.versions.map((version) => {
      const seen = status?.versions.find((one) => one.version === version.version);
      return {
        model: version.model,
        version: version.version,
        weight: version.weight,
        ...(seen === undefined ? {} : { ready: seen.ready, requests: seen.requests, errors: seen.errors }),
        ...(seen?.message === undefined ? {} : { message: seen.message }),
      };
    }),
    captureRate: row.spec.captureRate,
    updatedAt: row.updatedAt,
  };
}

function stateOf(row: EndpointRow, status: EndpointStatus | undefined): Endpoint["state"] {
  if (row.deletedAt !== undefined) return "deleted";
  if (status === undefined) return "failed";
  if (!status.ready) return status.versions.some((version) => version.message !== undefined) ? "failed" : "deploying";
  return status.generation < row.generation ? "degraded" : "ready";
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
