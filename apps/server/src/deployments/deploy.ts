import {
  type EndpointSpec,
  type EndpointStatus,
  EspalierError,
  type RolloutSettings,
  type RolloutStrategy,
  type ServedVersion,
  ulid,
} from "@espalier/core";
import type { ControlPlane } from "../control-plane.ts";
import type { EndpointRow } from "../db/queries/endpoints.ts";
import type { RolloutRow } from "../db/queries/rollouts.ts";
import { declaredSettings } from "../endpoints/declared-settings.ts";
import type { HeldVersion } from "../models/version-content.ts";
import { beginRollout } from "../rollouts/decide-rollout.ts";
import { type RolloutPlan, rolloutPlan } from "../rollouts/rollout-plan.ts";
import { exclusively } from "./exclusively.ts";
import { advanceRollout, detailsOf, performAction, type RolloutDetails } from "./rollout-steps.ts";
import { applyDesired, type EndpointSettings, isSame, isSameVersion, noEndpoint, servedVersion } from "./serve.ts";

export interface DeployRequest {
  endpoint: string;
  version: HeldVersion;
  strategy: RolloutStrategy;
  /** First share of a canary whose settings name no steps. */
  weight?: number | undefined;
  rollout?: RolloutSettings | undefined;
  /** Of the endpoint, all of them; left out, they stay, or are those of espalier.yaml. */
  settings?: EndpointSettings | undefined;
  /** Versions that are served beside, by rules or as shadows; left out, those there are. */
  beside?: readonly ServedVersion[] | undefined;
  /** A program of the user's in place of our model server; left out, that of the version before. null: ours. */
  runtime?: ServedVersion["runtime"] | null;
  captureRate?: number | undefined;
  /** Alias that follows the version once it has all traffic. */
  alias?: string | undefined;
  by: string;
  runId?: string;
}

export interface DeployResult {
  endpoint: EndpointRow;
  rollout?: RolloutRow;
  unchanged: boolean;
}

interface Before {
  found: EndpointRow | undefined;
  /** What served before the rollout, also before one that this one supersedes. */
  spec: EndpointSpec | undefined;
  beside: readonly ServedVersion[];
}

/** Makes a version the one that an endpoint serves, at once or by steps. Idempotent: what is served already is `unchanged`. */
export function deploy(plane: ControlPlane, request: DeployRequest): Promise<DeployResult> {
  return exclusively(plane, request.endpoint, () => deployAlone(plane, request));
}

async function deployAlone(plane: ControlPlane, asked: DeployRequest): Promise<DeployResult> {
  const { record } = plane;
  const found = await record.endpoints.get(asked.endpoint);
  const current = found?.deletedAt === undefined ? found : undefined;
  const rollout = await activeRollout(plane, asked.endpoint);
  const request = await completed(plane, asked, current?.spec);
  const beside = request.beside ?? (current === undefined ? [] : besideOf(current.spec, rollout));
  const base = { ...request.settings, name: request.endpoint, generation: found?.generation ?? 0, versions: [] };
  if (
    current !== undefined &&
    isServed(request, current.spec, rollout) &&
    isSame({ ...current.spec, versions: [] }, base)
  ) {
    return { endpoint: await applyDesired(plane, current), ...(rollout ? { rollout } : {}), unchanged: true };
  }
  let before = current?.spec;
  if (rollout !== undefined) {
    before = detailsOf(rollout).progress.before ?? before;
    const reason = `superseded by ${request.version.name} version ${request.version.version}`;
    await record.rollouts.update(rollout.id, { state: "rolled_back", weight: 0, reason });
  }
  return startRollout(plane, request, base, { found, spec: before, beside });
}

/** Whether the version is what the endpoint serves, or what the rollout under way is about, in the way that is asked. */
function isServed(
  { version, strategy, runtime }: DeployRequest,
  spec: EndpointSpec,
  rollout: RolloutRow | undefined,
): boolean {
  const wanted = { model: version.name, version: String(version.version) };
  if (rollout !== undefined)
    return rollout.strategy === strategy && rollout.model === wanted.model && rollout.toVersion === wanted.version;
  const serving = spec.versions.find((one) => isSameVersion(one, wanted));
  const runs = runtime === undefined || JSON.stringify(runtime ?? undefined) === JSON.stringify(serving?.runtime);
  return serving?.weight === 1 && runs;
}

/** Versions without traffic that no rollout loaded and nobody keeps for a while: rules or a mirrored share have put them there. */
function besideOf(spec: EndpointSpec, rollout: RolloutRow | undefined): ServedVersion[] {
  return spec.versions.filter(
    (version) =>
      version.weight === 0 &&
      version.keepUntil === undefined &&
      !(rollout !== undefined && isSameVersion(version, { model: rollout.model, version: rollout.toVersion })) &&
      ((version.mirror ?? 0) > 0 || spec.rules?.some((rule) => rule.version === version.version)),
  );
}

/** The request with what it leaves out: settings and program as they are declared, else as they are in force. */
async function completed(
  plane: ControlPlane,
  request: DeployRequest,
  current: EndpointSpec | undefined,
): Promise<DeployRequest & { settings: EndpointSettings }> {
  if (request.settings !== undefined) return { ...request, settings: request.settings };
  const { settings, runtime } = await declaredSettings(plane, request.endpoint, current);
  const captureRate = request.captureRate ?? settings.captureRate;
  const program = request.runtime === undefined && runtime !== undefined ? { runtime } : {};
  return { ...request, ...program, settings: { ...settings, captureRate } };
}

async function startRollout(
  plane: ControlPlane,
  request: DeployRequest,
  base: EndpointSpec,
  { found, spec: before, beside }: Before,
): Promise<DeployResult> {
  const { record, stack } = plane;
  const status: EndpointStatus | undefined = before && (await stack.deployer.status(request.endpoint));
  const candidate = await candidateOf(plane, request, before);
  const plan = rolloutPlan(request.strategy, request.rollout, request.weight);
  const isFirst = found === undefined || before === undefined;
  if (isFirst) refuseWithoutBefore(request, plan);
  const first = beginRollout(plan, before, candidate, status, Date.now());
  if (first.kind !== "apply") throw new EspalierError("INTERNAL", "A rollout begins with a change");
  const details: RolloutDetails = {
    progress: first.progress,
    alias: request.alias ?? null,
    by: request.by,
    runId: request.runId ?? null,
    base,
    beside: beside.filter((one) => !isSameVersion(one, candidate)),
  };
  const stable = before?.versions.reduce((best, one) => (one.weight > best.weight ? one : best)).version;
  const rollout = await record.rollouts.start({
    id: ulid(),
    endpoint: request.endpoint,
    model: request.version.name,
    toVersion: candidate.version,
    strategy: first.progress.plan.strategy,
    weight: first.weight,
    details: JSON.parse(JSON.stringify(details)),
    ...(stable === undefined ? {} : { fromVersion: stable }),
  });
  await performAction(plane, rollout, first);
  // One with nothing to wait for ends at once.
  const now = await advanceRollout(plane, rollout.id);
  const endpoint = await record.endpoints.get(request.endpoint);
  if (now.state === "rolled_back" || now.state === "failed") throw notServed(request, now, before !== undefined);
  if (endpoint === undefined) throw noEndpoint(request.endpoint);
  return { endpoint, rollout: now, unchanged: false };
}

async function candidateOf(
  plane: ControlPlane,
  { version, runtime: asked }: DeployRequest,
  before: EndpointSpec | undefined,
): Promise<ServedVersion> {
  const main = before?.versions.find(({ weight }) => weight > 0);
  // A program of the user's goes on to serve the next version of the same model.
  const runtime = asked === undefined && main?.model === version.name ? main.runtime : asked;
  const served = await servedVersion(plane, version, { isServedByUs: runtime == null });
  return { ...served, weight: 0, ...(runtime == null ? {} : { runtime }) };
}

function refuseWithoutBefore({ endpoint, strategy }: DeployRequest, plan: RolloutPlan): void {
  if (plan.strategy !== "shadow") return;
  throw new EspalierError("INVALID_INPUT", `The endpoint ${endpoint} serves nothing, so there is nothing to mirror`, {
    at: "strategy",
    details: { strategy },
    hint: "Deploy a version with traffic first.",
  });
}

function notServed({ version, endpoint }: DeployRequest, rollout: RolloutRow, hadBefore: boolean): EspalierError {
  const { failure: code = "UNAVAILABLE", progress } = detailsOf(rollout);
  const served = hadBefore ? "What was served before is served again." : "Nothing is served.";
  return new EspalierError(
    code,
    `${version.name} version ${version.version} does not serve: ${rollout.reason ?? rollout.state}`,
    {
      at: `endpoints.${endpoint}`,
      hint:
        progress.candidate.runtime === undefined
          ? `${served} A version is never changed: register a model that can be served.`
          : `${served} Its program is what \`runtime\` of the endpoint says; run it by hand to see what it prints.`,
    },
  );
}

export async function activeRollout({ record }: ControlPlane, endpoint: string): Promise<RolloutRow | undefined> {
  return (await record.rollouts.active()).find((one) => one.endpoint === endpoint);
}
