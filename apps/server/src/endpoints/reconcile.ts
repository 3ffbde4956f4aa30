import { type Json, toEspalierError } from "@espalier/core";
import type { EndpointConfig } from "@espalier/host";
import type { ControlPlane } from "../control-plane.ts";
import type { DeclarationOutcome, DeclarationRow } from "../db/queries/declarations.ts";
import { changeEndpoint } from "./change-endpoint.ts";
import { type EndpointDifference, endpointDifference, isToBeRetried } from "./endpoint-difference.ts";
import { portProblem } from "./port-problem.ts";

/** What came of making one declaration real. */
export interface Reconciled {
  difference: EndpointDifference;
  outcome: "done" | "unchanged" | "waiting" | "held" | "failed";
}

export interface ReconcileOptions {
  /** A person asked: what was tried and taken back is tried again. */
  insist: boolean;
  by: string;
  /** `espalier.yaml:line:column` where it is known. */
  at?: string | undefined;
}

const firstRetryMilliseconds = 5_000;
const longestRetryMilliseconds = 600_000;
/** Of what may pass. After these it waits for another version, another text, or a person. */
const mostTries = 8;

const turns = new WeakMap<ControlPlane, Promise<unknown>>();

/** One declaration at a time in this process; between processes the record's generations decide. */
export function reconcile(
  plane: ControlPlane,
  name: string,
  options: ReconcileOptions,
): Promise<Reconciled | undefined> {
  const work = (): Promise<Reconciled | undefined> => reconcileAlone(plane, name, options);
  const turn = (turns.get(plane) ?? Promise.resolve()).then(work, work);
  turns.set(plane, turn);
  return turn;
}

/** Idempotent, and sound to be cut off anywhere: what was acted on is noted last, and acting on it again finds it done. */
async function reconcileAlone(
  plane: ControlPlane,
  name: string,
  { insist, by, at = `endpoints.${name}` }: ReconcileOptions,
): Promise<Reconciled | undefined> {
  const { record } = plane;
  const row = await record.declarations.get(name);
  if (row === undefined) return undefined;
  const config = row.declaration as EndpointConfig;
  const seen = await endpointDifference(record, { name, config, row, at }, { insist });
  const problem = seen.problem ?? (await portProblem(seen, at));
  const difference = { ...seen, ...(problem === undefined ? {} : { problem }) };
  const end = async (outcome: Reconciled["outcome"], told: DeclarationOutcome): Promise<Reconciled> => {
    await settle(plane, row, told);
    return { difference, outcome };
  };
  if (problem !== undefined) {
    return end("failed", { state: "failed", code: problem.code, message: problem.message, tried: false });
  }
  if (difference.action === "wait")
    return end("waiting", { state: "waiting", message: difference.reason, tried: false });
  if (difference.action === "hold") {
    // Why it failed stays on record.
    if (row.state === "failed") return { difference, outcome: "held" };
    return end("held", { state: "settled", message: difference.reason, tried: false });
  }
  const { target, settings } = difference;
  if (!insist && row.target === target && isToBeRetried(row) && row.dueAt > Date.now()) {
    return { difference, outcome: "failed" };
  }
  if (difference.action === "none") return end("unchanged", { state: "settled", target, settings, tried: false });
  try {
    await changeEndpoint(plane, difference, by);
  } catch (thrown) {
    const error = toEspalierError(thrown);
    if (error.code === "INTERNAL") plane.logger.error({ err: thrown, endpoint: name }, "a declared endpoint");
    difference.problem = error;
    const passes =
      (error.retryable || error.code === "CONFLICT" || error.code === "PORT_IN_USE") && row.tries < mostTries;
    const wait = Math.min(longestRetryMilliseconds, firstRetryMilliseconds * 2 ** row.tries);
    return end("failed", {
      state: "failed",
      code: error.code,
      message: error.message,
      tried: true,
      target,
      settings,
      // Without a time it is not tried again: the same version would be for ever.
      ...(passes ? { againInMilliseconds: wait } : {}),
    });
  }
  return end("done", { state: "settled", target, settings, tried: true });
}

async function settle(plane: ControlPlane, row: DeclarationRow, told: DeclarationOutcome): Promise<void> {
  const same =
    row.state === told.state &&
    row.code === told.code &&
    row.message === told.message &&
    (told.target === undefined || row.target === told.target) &&
    (told.settings === undefined || row.settings === told.settings);
  if (same && !told.tried) return;
  await plane.record.declarations.settle(row, told);
  if (told.state !== "failed" || same) return;
  const { code, message } = told;
  plane.logger.warn({ endpoint: row.name, code, message }, "an endpoint is not served as it is declared");
}

/** Makes a declaration the desired state; `reconcile` makes that real. */
export function declare(
  plane: ControlPlane,
  name: string,
  config: EndpointConfig,
  by: string,
): Promise<DeclarationRow> {
  return plane.record.declarations.apply(name, JSON.parse(JSON.stringify(config)) as Json, by);
}
