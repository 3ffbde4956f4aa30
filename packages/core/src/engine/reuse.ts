import { canonicalJson } from "../canonical-json.ts";
import { EspalierError } from "../errors.ts";
import type { CachedResult, StepRow } from "../record/engine-record.ts";
import type { RunContext } from "./run-context.ts";
import { rowKey } from "./run-context.ts";
import type { Unit } from "./unit.ts";

export type Reusable = CachedResult & { reason?: string };
type Key = Pick<StepRow, "cacheKey" | "keyParts">;

/** The outputs that this unit need not make again. undefined: run it. */
export async function findReusable(context: RunContext, unit: Unit, key: Key): Promise<Reusable | undefined> {
  const mode = context.scope.get(unit.row.step) ?? "run";
  const carried = await fromResumedRun(context, unit, key);
  if (carried) return carried;
  if (mode !== "forced") {
    const verdict = await standingVerdict(context, unit);
    if (verdict) return verdict;
    if (key.cacheKey !== undefined) {
      const found = await context.options.record.findCached(key.cacheKey);
      if (found && (await isWhole(context, unit, found))) return found;
    }
  }
  if (mode !== "reuse") return undefined;
  const newest = key.cacheKey === undefined ? await newestResult(context, unit) : undefined;
  if (newest) return { ...newest, reason: "outputs of the newest earlier run" };
  if (unit.builtin?.kind === "record" && unit.builtin.cacheable) return undefined;
  throw new EspalierError("NOT_FOUND", `Step ${unit.row.step} is needed but has no cached result`, {
    at: `steps.${unit.row.step}`,
    hint: `Run without --only and --from, or with --from ${unit.row.step}.`,
  });
}

/** What the run that this one continues had finished already, be it with `--force` or a step that has no cache. */
async function fromResumedRun(context: RunContext, unit: Unit, key: Key): Promise<Reusable | undefined> {
  // A deployment is reconciled at every run: what was in force then need not be in force now.
  if (unit.step.uses === "deploy") return undefined;
  const name = rowKey(unit.row.step, unit.row.branch);
  const row = context.earlier.get(name);
  if (!row || !(row.state === "succeeded" || row.state === "cached")) return undefined;
  if (!isSameWork(row, key)) return undefined;
  const { outputs = {}, values = {} } = row;
  const attemptId = row.cachedFrom ?? (await context.earlierAttempts()).get(name) ?? "";
  const found = { attemptId, runId: row.runId, outputs, values };
  return (await isWhole(context, unit, found)) ? { ...found, reason: `finished in run ${row.runId}` } : undefined;
}

/** A trial that lost in the run that this one continues has lost: the same work is not begun again. */
export async function prunedBefore(
  context: RunContext,
  row: StepRow,
  key: Key,
): Promise<Pick<StepRow, "cachedFrom" | "reason"> | undefined> {
  const name = rowKey(row.step, row.branch);
  const before = context.earlier.get(name);
  if (before?.state !== "pruned" || !isSameWork(before, key)) return undefined;
  const attemptId = before.cachedFrom ?? (await context.earlierAttempts()).get(name);
  const reason = `pruned in run ${before.runId}${before.reason === undefined ? "" : `: ${before.reason}`}`;
  return { reason, ...(attemptId === undefined ? {} : { cachedFrom: attemptId }) };
}

function isSameWork(row: StepRow, key: Key): boolean {
  if (key.cacheKey !== undefined) return row.cacheKey === key.cacheKey;
  return key.keyParts !== undefined && canonicalJson(row.keyParts ?? null) === canonicalJson(key.keyParts);
}

async function attemptOf(context: RunContext, row: StepRow): Promise<string> {
  const attempts = await context.options.record.attempts(row.runId);
  const own = attempts.filter((attempt) => attempt.step === row.step && attempt.branch === row.branch);
  return own.find((attempt) => attempt.state === "succeeded")?.id ?? "";
}

/** A candidate that is the champion itself was judged when it became one. */
async function standingVerdict(context: RunContext, unit: Unit): Promise<Reusable | undefined> {
  if (unit.builtin?.name !== "gate") return undefined;
  const { candidate, champion, policy } = unit.inputs;
  if (!candidate || !champion || !policy || candidate.ref.digest !== champion.ref.digest) return undefined;
  const found = await context.options.findVerdict?.(candidate.ref.digest, policy.ref.digest);
  if (!found || !(await isWhole(context, unit, found))) return undefined;
  return { ...found, reason: "the candidate is the champion; the verdict that let it through stands" };
}

async function newestResult(context: RunContext, unit: Unit): Promise<Reusable | undefined> {
  const rows = await context.options.record.earlierSteps(context.pipeline.name, unit.row.step, 20);
  for (const row of rows) {
    if (row.runId === context.run.id || row.branch !== unit.row.branch || row.outputs === undefined) continue;
    if (row.state !== "succeeded" && row.state !== "cached" && row.state !== "unchanged") continue;
    const attemptId = row.cachedFrom ?? (await attemptOf(context, row));
    const found = { attemptId, runId: row.runId, outputs: row.outputs, values: row.values ?? {} };
    if (await isWhole(context, unit, found)) return found;
  }
  return undefined;
}

/** A hit needs every declared output, and its blobs. */
async function isWhole(context: RunContext, unit: Unit, found: CachedResult): Promise<boolean> {
  for (const [name, output] of Object.entries(unit.outputs)) {
    if (found.outputs[name] === undefined && output.optional !== true) return false;
  }
  const there = await Promise.all(Object.values(found.outputs).map((ref) => context.options.artifacts.exists(ref)));
  return there.every(Boolean);
}
