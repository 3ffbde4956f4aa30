import { digestOfJson, type EndpointSpec, EspalierError, isEspalierError } from "@espalier/core";
import type { EndpointConfig } from "@espalier/host";
import type { DeclarationRow } from "../db/queries/declarations.ts";
import type { EndpointRow } from "../db/queries/endpoints.ts";
import type { ModelVersionRow } from "../db/queries/models.ts";
import type { RolloutRow } from "../db/queries/rollouts.ts";
import type { ProjectRecord } from "../db/record.ts";
import { requireVerdict } from "../steps/gate-verdict.ts";
import { lookBeside } from "./beside-versions.ts";
import { mainOf, runtimeFor } from "./declared-settings.ts";
import { besideVersions, endpointSettings } from "./endpoint-settings.ts";
import { type FieldChange, fieldChanges, type WantedSettings } from "./field-changes.ts";
import { redactionProblem } from "./redaction-problem.ts";
import { resolveModel } from "./resolve-model.ts";

/**
 * create, update: what `apply` would do. none: nothing. wait: for an alias that is not set. hold: what is declared was tried and given up, or
 * replaced by hand; only `apply` by a person, or another target, takes it up again.
 */
type EndpointAction = "create" | "update" | "none" | "wait" | "hold";

export interface EndpointDifference {
  name: string;
  config: EndpointConfig;
  action: EndpointAction;
  /** The takeover that is to be begun. */
  takeover?: { version: ModelVersionRow; from?: string };
  changes: FieldChange[];
  wanted?: WantedSettings;
  current?: EndpointRow;
  /** The version that the declaration means now, with how it is to take over. Only to be compared. */
  target?: string;
  /** Everything else that it means. Only to be compared. */
  settings: string;
  reason?: string;
  problem?: EspalierError;
}

type Record = Pick<ProjectRecord, "models" | "endpoints" | "rollouts" | "verdicts">;

interface Declared {
  name: string;
  config: EndpointConfig;
  /** What was applied before, if anything was. */
  row: DeclarationRow | undefined;
  at: string;
}

/** What stands between a declaration and what is on record. Looks only; errors of the declaration are told as its problem. */
export async function endpointDifference(
  record: Record,
  { name, config, row, at }: Declared,
  { insist }: { insist: boolean },
): Promise<EndpointDifference> {
  const found = await record.endpoints.get(name);
  const current = found?.deletedAt === undefined ? found : undefined;
  const { found: others, missing: absent } = await lookBeside(record, config, at);
  const missing = absent.length === 0 ? undefined : absent.join("; ");
  const beside = new Map(
    [...others].map(([reference, { name: model, version }]) => [reference, { model, version: String(version) }]),
  );
  const settings = digestOfJson(
    JSON.parse(
      JSON.stringify([
        endpointSettings(config, undefined, beside),
        besideVersions(config, beside),
        config.runtime ?? null,
      ]),
    ),
  );
  const base = { name, config, settings, changes: [], ...(current === undefined ? {} : { current }) };
  const wanted: WantedSettings = {
    settings: endpointSettings(config, current?.spec, beside),
    beside: besideVersions(config, beside),
    runtime: runtimeFor(config, current?.spec),
  };
  const changes = current === undefined ? [] : fieldChanges(current.spec, wanted);
  if (config.model === undefined) {
    if (current === undefined)
      return { ...base, action: "none", reason: "a `deploy` step or `espalier deploy` makes it" };
    return { ...base, wanted, changes, ...ofSettings(changes, { settings, row, insist }) };
  }
  const resolved = await resolveModel(record, config.model, at);
  if (resolved.version === undefined) {
    const { error, waits } = resolved;
    if (waits) return { ...base, action: "wait", reason: `${error.message}. ${error.hint ?? ""}`.trim() };
    return { ...base, action: current === undefined ? "create" : "update", problem: error };
  }
  const { version } = resolved;
  const target = targetOf(version, config);
  const rollout = (await record.rollouts.active()).find((one) => one.endpoint === name);
  // What is in force already stays so when a later version has lost a column.
  const misnamed = row?.settings === settings ? undefined : redactionProblem(config, version, at);
  const whole = {
    ...base,
    wanted,
    changes,
    target,
    ...(misnamed === undefined ? {} : { problem: misnamed }),
    ...(missing === undefined ? {} : { reason: missing }),
  };
  const under = underWay(rollout, version);
  if (under !== undefined || serves(current?.spec, version)) {
    const { action, reason: why } = ofSettings(changes, { settings, row, insist });
    const reason = [under, why, missing].filter((text) => text !== undefined).join("; ");
    return { ...whole, action, ...(reason === "" ? {} : { reason }) };
  }
  if (!insist && row?.target === target && !isToBeRetried(row)) {
    const { action } = ofSettings(changes, { settings, row, insist });
    return {
      ...whole,
      action: action === "update" ? action : "hold",
      reason: `${await whyHeld(record, name, version)}; \`espalier apply ${name}\` tries it again`,
    };
  }
  const problem = misnamed ?? (await gateProblem(record, version, config, at));
  const from = mainOf(current?.spec);
  return {
    ...whole,
    action: current === undefined ? "create" : "update",
    takeover: { version, ...(from === undefined ? {} : { from: `${from.model}@${from.version}` }) },
    ...(problem === undefined ? {} : { problem }),
  };
}

/** Settings that were acted on and differ since were changed by hand, or could not be had: they stay so as well. */
function ofSettings(
  changes: readonly FieldChange[],
  { settings, row, insist }: { settings: string; row: DeclarationRow | undefined; insist: boolean },
): { action: "none" | "update" | "hold"; reason?: string } {
  if (changes.length === 0) return { action: "none" };
  if (insist || row === undefined || row.settings !== settings || isToBeRetried(row)) return { action: "update" };
  const failed = row.state === "failed" && row.message !== undefined ? `: ${row.message}` : "";
  return {
    action: "hold",
    reason: `its settings are not those that were applied${failed}; \`espalier apply ${row.name}\` sets them`,
  };
}

function targetOf({ name, version }: ModelVersionRow, { gate, strategy, rollout, runtime }: EndpointConfig): string {
  const how = JSON.parse(JSON.stringify([gate ?? null, strategy ?? null, rollout ?? null, runtime ?? null]));
  return `${name}/${version} ${digestOfJson(how)}`;
}

/** It failed of something that may pass, and is tried again by itself. */
export function isToBeRetried(row: DeclarationRow): boolean {
  return row.state === "failed" && row.dueAt > 0;
}

function underWay(rollout: RolloutRow | undefined, version: ModelVersionRow): string | undefined {
  if (rollout?.model !== version.name || rollout.toVersion !== String(version.version)) return undefined;
  return `its rollout is under way, at ${Math.round(rollout.weight * 100)} %`;
}

function serves(spec: EndpointSpec | undefined, version: ModelVersionRow): boolean {
  const main = spec?.versions.find((one) => Math.abs(one.weight - 1) < 1e-6);
  return main?.model === version.name && main.version === String(version.version);
}

async function whyHeld(record: Record, name: string, version: ModelVersionRow): Promise<string> {
  const rollouts = (await record.rollouts.list(name, { limit: 20 })).items;
  const last = rollouts.find((one) => one.model === version.name && one.toVersion === String(version.version));
  const what = `${version.name}@${version.version}`;
  if (last?.state === "rolled_back" || last?.state === "failed")
    return `${what} was taken back: ${last.reason ?? last.state}`;
  return `${what} was served, and another version was deployed since`;
}

async function gateProblem(
  record: Record,
  version: ModelVersionRow,
  config: EndpointConfig,
  at: string,
): Promise<EspalierError | undefined> {
  // Of a version without files nothing can be judged yet; applying it takes them in.
  if (version.digest === undefined) return undefined;
  try {
    await requireVerdict(record, version.digest, config.gate === undefined ? {} : { gate: config.gate }, at);
    return undefined;
  } catch (error) {
    if (!isEspalierError(error) || error.code !== "UNGATED") throw error;
    return new EspalierError("UNGATED", `No gate has let ${version.name}@${version.version} through`, {
      at,
      details: error.details,
      hint: "Let a gate judge it, or say `gate: none` in the declaration, which is recorded.",
    });
  }
}
