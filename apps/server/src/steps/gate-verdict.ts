import {
  type CachedResult,
  type Digest,
  EspalierError,
  type GateVerdict,
  type StepIr,
  type StepRecorder,
} from "@espalier/core";
import type { VerdictRow } from "../db/queries/verdicts.ts";
import type { ProjectRecord } from "../db/record.ts";

/** Puts a gate's verdict on record, whatever it says, before its step is reported. */
export function recordVerdict(record: Pick<ProjectRecord, "verdicts">): StepRecorder {
  return async ({ run, step, attemptId, inputs, values }) => {
    const verdict = values["verdict"] as unknown as GateVerdict | undefined;
    const candidate = inputs["candidate"] ?? inputs["metrics"];
    const policy = inputs["policy"];
    if (verdict === undefined || candidate === undefined || policy === undefined) {
      throw new EspalierError("INTERNAL", `The gate ${step} left no verdict`, { at: `steps.${step}` });
    }
    await record.verdicts.save({
      id: attemptId,
      runId: run.id,
      attemptId,
      step,
      policy: policy.reference,
      policyDigest: policy.ref.digest,
      candidateDigest: candidate.ref.digest,
      ...(inputs["champion"] === undefined ? {} : { championDigest: inputs["champion"].ref.digest }),
      ...(inputs["data"] === undefined ? {} : { dataDigest: inputs["data"].ref.digest }),
      outcome: verdict.outcome,
      allowed: verdict.allowed,
      report: values["verdict"] ?? null,
    });
  };
}

/** The verdict that lets this very content go on; UNGATED unless the step says `gate: none`, which is then on record. */
export async function requireVerdict(
  record: Pick<ProjectRecord, "verdicts">,
  digest: Digest,
  step: Pick<StepIr, "gate">,
  at: string,
): Promise<VerdictRow | undefined> {
  const verdict = await record.verdicts.allowing(digest);
  if (verdict !== undefined || step.gate === "none") return verdict;
  throw new EspalierError("UNGATED", "No gate has let this model through", {
    at,
    details: { digest },
    hint: "Take the `model` output of a `gate` step, or say `gate: none` (`espalier deploy --no-gate`), which is recorded.",
  });
}

/** What the gate that once let this candidate through left, for a candidate that is the champion itself. */
export async function findVerdictResult(
  record: Pick<ProjectRecord, "verdicts" | "engine">,
  candidate: Digest,
  policy: Digest,
): Promise<CachedResult | undefined> {
  const { items } = await record.verdicts.list({ candidate }, { limit: 100 });
  const verdict = items.find((one) => one.allowed && one.policyDigest === policy);
  if (verdict?.runId === undefined || verdict.attemptId === undefined) return undefined;
  const row = (await record.engine.steps(verdict.runId)).find((one) => one.step === verdict.step && one.branch === -1);
  if (row?.outputs === undefined) return undefined;
  return { attemptId: verdict.attemptId, runId: verdict.runId, outputs: row.outputs, values: row.values ?? {} };
}
