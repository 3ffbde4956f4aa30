import type { Facts, RunFacts } from "./facts.ts";
import { dateOf, documentOf, triggerOf } from "./facts.ts";
import type { GateDecision, Retraining, RetrainingOutcome } from "./story.ts";
import { member, numberIn, shortDigest, text } from "./words.ts";

/** Each decision of a gate with its interval, oldest first. */
export function gateStory(facts: Facts): GateDecision[] {
  return facts.verdicts.map((verdict) => {
    const of = facts.runs.find(({ run }) => run.id === verdict.runId);
    const report = verdict.report;
    const difference = member(report, "difference");
    const resampling = member(report, "resampling");
    const comparedWith = text(member(report, "comparedWith"));
    const margin = numberIn(report, "margin") ?? 0;
    const reasons = member(report, "reasons");
    const date = of === undefined ? undefined : dateOf(of.run);
    const value = numberIn(member(report, "candidate"), "value");
    const reference = numberIn(member(report, "reference"), "value");
    return {
      id: verdict.id,
      ...(verdict.runId === undefined ? {} : { runId: verdict.runId }),
      ...(date === undefined ? {} : { date }),
      candidate: (of === undefined ? undefined : versionOf(of)) ?? shortDigest(verdict.candidateDigest),
      outcome: verdict.outcome,
      allowed: verdict.allowed,
      comparedWith,
      metric: text(member(report, "metric")),
      ...(value === undefined ? {} : { value }),
      ...(reference === undefined ? {} : { reference }),
      ...(difference === undefined
        ? {}
        : {
            difference: {
              value: numberIn(difference, "value") ?? 0,
              lower: numberIn(difference, "lower") ?? 0,
              upper: numberIn(difference, "upper") ?? 0,
            },
          }),
      margin,
      ...(comparedWith === "champion" ? { needed: -margin } : {}),
      confidence: numberIn(report, "confidence") ?? 0.95,
      ...(resampling === undefined
        ? {}
        : {
            blocks: `${text(member(resampling, "blocks"))} ${text(member(resampling, "column")) || "row"}s resampled`,
          }),
      reasons: Array.isArray(reasons) ? reasons.map(text) : [],
    };
  });
}

/** Runs that a schedule or a monitor started and that train a model, oldest date first. */
export function retrainingStory(facts: Facts): Retraining[] {
  return facts.runs
    .filter(({ run }) => ["schedule", "backfill", "monitor"].includes(run.trigger.kind) && trains(run))
    .map((of) => retraining(facts, of))
    .sort((a, b) => (a.date < b.date ? -1 : 1));
}

function trains(run: RunFacts["run"]): boolean {
  return Object.values(run.pipeline.steps).some((step) => step.uses === "gate");
}

function retraining(facts: Facts, of: RunFacts): Retraining {
  const { run, steps } = of;
  const verdict = facts.verdicts.findLast((one) => one.runId === run.id);
  const deployment = documentOf(of, "deploy", "deployment");
  const rollout = facts.rollouts.find((one) => one.id === text(deployment?.rollout));
  const deploy = steps.find((step) => run.pipeline.steps[step.step]?.uses === "deploy");
  const version = versionOf(of);
  const [outcome, sentence] = judged();
  return {
    runId: run.id,
    date: dateOf(run) ?? new Date(run.createdAt).toISOString().slice(0, 10),
    trigger: triggerOf(run),
    outcome,
    ...(version === undefined ? {} : { version }),
    sentence,
  };

  function judged(): [RetrainingOutcome, string] {
    if (verdict !== undefined && !verdict.allowed) return ["refused", reasonsOf(verdict.report)[0] ?? verdict.outcome];
    if (run.state !== "succeeded") return ["failed", run.error?.message ?? `The run is ${run.state}.`];
    if (deploy?.state === "unchanged" || rollout === undefined) {
      return ["unchanged", "It made the model that serves already."];
    }
    const reason = rollout.reason ?? "";
    if (rollout.state === "succeeded") return ["rolled out", reason];
    if (rollout.state === "rolled_back") return ["rolled back", reason];
    return [rollout.state === "failed" ? "failed" : "under way", reason];
  }
}

function reasonsOf(report: unknown): string[] {
  const reasons = (report as { reasons?: unknown }).reasons;
  return Array.isArray(reasons) ? reasons.map(String) : [];
}

/** `model@version` that a run registered. */
function versionOf(of: RunFacts): string | undefined {
  const version = documentOf(of, "register", "version");
  return version === undefined ? undefined : `${text(version.model)}@${text(version.version)}`;
}
